import BlockingIO
import Glibc
import OCI

/// Folders on this machine: where `-o type=local` unpacks, and OCI layouts that `farm image import` packs. Blocks.
enum LocalOutput {
    /// Unpacks a tar into a folder that is there; nothing outside of it is touched. Only root can give files their owners and make
    /// device nodes; anyone else gets their own files, without devices.
    static func unpack(from source: BytePipe, into folder: String) throws {
        let descriptor = try open(folder)
        defer { close(descriptor) }
        let isRoot = geteuid() == 0
        try LayerArchive.unpack(
            from: source, intoRoot: descriptor, owner: isRoot ? .archive : .caller, devices: isRoot ? .create : .skip)
    }

    /// Writes a folder as a tar.
    static func pack(folder: String, to sink: BytePipe) throws { _ = try LayerArchive.write(directory: folder, form: .plain, to: sink) }

    private static func open(_ folder: String) throws -> Int32 {
        let descriptor = Glibc.open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw ClientError.failed("\(folder): \(String(cString: strerror(errno)))") }
        return descriptor
    }
}
