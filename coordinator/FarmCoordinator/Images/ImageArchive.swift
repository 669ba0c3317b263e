import BuildPlan
import Digests
import Glibc
import OCI

/// An uploaded archive on its way to becoming an image.
struct ImageArchive: Sendable {
    private let image: ImportedImage

    var platform: Platform { image.platform }
    var config: ImageConfig { image.config }
    var history: [HistoryEntry] { image.history }
    /// Lowest first.
    var layers: [LayerDescriptor] { image.layers.map(\.descriptor) }

    /// Reads an OCI or Docker archive, or a root file system, and writes its layers uncompressed into a directory that it makes. Blocks.
    init(_ path: String, layersTo directory: String, platform: Platform) throws {
        try FileAccess.makeDirectories(directory, mode: 0o700)
        image = try ImageImport.read(file: path, into: directory, platform: platform)
    }

    /// Moves the layers, safely on the disk, to where agents fetch them, each named by its digest. Blocks.
    func moveLayers(to directory: String) throws {
        for layer in image.layers {
            try FileAccess.synchronize(layer.path)
            try FileAccess.rename(layer.path, to: "\(directory)/\(layer.descriptor.diffID.hex)")
        }
        try FileAccess.synchronize(directory)
    }
}

extension Platform {
    /// This machine's: what an image is for that does not say so itself.
    static var ofThisMachine: Platform {
        var name = utsname()
        uname(&name)
        let machine = withUnsafeBytes(of: name.machine) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        return Platform("linux/\(machine)") ?? Platform(os: "linux", architecture: machine)
    }
}
