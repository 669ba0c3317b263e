import BlockingIO
import BuildPlan
import Digests
import Glibc

/// Reads images from files: OCI archives and layouts, Docker archives, and root file systems as tar; compressed or not.
public enum ImageImport {
    // Docker puts an index for each tag into the index; more makes no sense.
    private static let maximumIndexDepth = 4
    /// More layers than overlayfs can stack.
    public static let maximumLayers = 500

    /// Reads an image and puts its layers as uncompressed tars into the staging directory, with everything verified that has a digest. Blocks.
    ///
    /// A root file system becomes an image of one layer without configuration.
    /// - Parameters:
    ///   - path: a file, or an OCI layout's directory.
    ///   - staging: an empty directory, the caller's to delete, also after an error. Needs room for the archive's content twice.
    ///   - platform: chosen in a multi-platform image, and that of a root file system.
    public static func read(file path: String, into staging: String, platform: Platform) throws -> ImportedImage {
        var status = stat()
        guard stat(path, &status) == 0 else { throw LayerError.call("open", path.utf8) }
        if status.st_mode & S_IFMT == S_IFDIR { return try read(folder: path, path, staging, platform) }
        guard status.st_mode & S_IFMT == S_IFREG else { throw ImageError.notAnImage(path: path, reason: "it is no file and no directory") }
        guard try isImageArchive(path) else { return try readRootFileSystem(path, staging, platform) }
        let unpacked = staging + "/archive"
        guard mkdir(unpacked, 0o700) == 0 else { throw LayerError.call("create", unpacked.utf8) }
        _ = try open(path) { file in
            try Descriptor.directory(unpacked).use { root in
                try LayerArchive.unpack(from: FileSource(file), intoRoot: root, owner: .caller, devices: .skip)
            }
        }
        return try read(folder: unpacked, path, staging, platform)
    }

    private static func open<R>(_ path: String, _ body: (Int32) throws -> R) throws -> R {
        let number = Glibc.open(path, O_RDONLY | O_CLOEXEC)
        guard number >= 0 else { throw LayerError.call("open", path.utf8) }
        return try Descriptor(owning: number).use(body)
    }

    // The files that make an archive an image may come last in it; what only a system has tells earlier that it is none.
    private static func isImageArchive(_ path: String) throws -> Bool {
        let marks = ["oci-layout", "index.json", "manifest.json"].map { Array($0.utf8) }
        let system = ["usr", "etc", "bin", "var", "lib"].map { Array($0.utf8) }
        do {
            return try open(path) { file in
                let tar = try TarReader(Decompressor(FileSource(file)), limits: LayerLimits(), acceptEmpty: false)
                while let entry = try tar.next() {
                    if marks.contains(entry.path) { return true }
                    if let first = entry.path.split(separator: UInt8(ascii: "/")).first, system.contains(Array(first)) { return false }
                }
                return false
            }
        } catch LayerError.unreadable(let reason) { throw ImageError.notAnImage(path: path, reason: "it can't be read as tar (\(reason))") }
    }

    // MARK: Root file systems

    private static func readRootFileSystem(_ path: String, _ staging: String, _ platform: Platform) throws -> ImportedImage {
        let file = staging + "/layer-0.tar"
        let descriptor = try create(file) { output in
            try open(path) { input in
                let tar = try TarReader(Decompressor(FileSource(input)), limits: LayerLimits(), tee: FileSink(output))
                var entries = 0
                while try tar.next() != nil { entries += 1 }
                guard entries > 0 else { throw ImageError.notAnImage(path: path, reason: "the archive is empty") }
                return try tar.finish()
            }
        }
        return ImportedImage(
            config: ImageConfig(), history: [HistoryEntry(createdBy: "", comment: "imported root file system", emptyLayer: false)],
            platform: platform, layers: [.init(descriptor: descriptor, path: file)])
    }

    // MARK: Images

    private static func read(folder: String, _ name: String, _ staging: String, _ platform: Platform) throws -> ImportedImage {
        let folder = try ImageFolder(folder)
        if folder.has("index.json") {
            let index = try ImageDocuments.decode(ImageDocuments.Manifest.self, folder.document("index.json"), "index.json")
            let manifest = try choose(index, folder, platform, depth: 0)
            guard let config = manifest.config, let layers = manifest.layers else {
                throw ImageError.damaged(reason: "its manifest has no configuration or no layers")
            }
            let known = [nil, MediaType.config, MediaType.dockerConfig]
            guard known.contains(config.mediaType) else {
                throw ImageError.unsupported(reason: "its configuration is of type '\(config.mediaType ?? "")'; it is no container image")
            }
            let sources = try layers.map { layer in
                let (path, digest) = try ImageFolder.blobPath(layer.digest)
                return Source(path: path, digest: digest)
            }
            return try assemble(folder.blob(config), sources, folder, staging)
        }
        guard folder.has("manifest.json") else {
            throw ImageError.notAnImage(path: name, reason: "it has neither index.json nor manifest.json")
        }
        let manifests = try ImageDocuments.decode([ImageDocuments.DockerManifest].self, folder.document("manifest.json"), "manifest.json")
        guard manifests.count == 1, let manifest = manifests.first else {
            throw ImageError.unsupported(reason: "the archive has \(manifests.count) images; save one at a time")
        }
        return try assemble(
            folder.document(manifest.Config), (manifest.Layers ?? []).map { Source(path: $0, digest: nil) }, folder, staging)
    }

    private static func choose(
        _ index: ImageDocuments.Manifest, _ folder: ImageFolder, _ platform: Platform, depth: Int
    ) throws -> ImageDocuments.Manifest {
        guard let manifests = index.manifests else { return index }
        guard depth < maximumIndexDepth else { throw ImageError.damaged(reason: "its indexes are nested too deeply") }
        // Attestations and the like are listed as images for a platform that does not exist.
        let images = manifests.filter { $0.platform?.os != "unknown" && $0.annotations?["vnd.docker.reference.type"] == nil }
        let matching = images.filter { $0.platform == nil || fits($0, platform) }
        // The same image under several tags is one.
        let digests = Set(matching.map(\.digest))
        guard let first = matching.first else {
            throw ImageError.platformMissing(wanted: platform.description, available: Set(images.compactMap(platformName)).sorted())
        }
        guard digests.count == 1 else {
            let exact = matching.filter { $0.platform != nil && $0.platform?.variant == platform.variant }
            guard let only = exact.first, Set(exact.map(\.digest)).count == 1 else {
                throw ImageError.unsupported(reason: "it has \(digests.count) images for \(platform); export one at a time")
            }
            return try choose(manifest(only, folder), folder, platform, depth: depth + 1)
        }
        return try choose(manifest(first, folder), folder, platform, depth: depth + 1)
    }

    private static func manifest(_ descriptor: ImageDocuments.Descriptor, _ folder: ImageFolder) throws -> ImageDocuments.Manifest {
        try ImageDocuments.decode(ImageDocuments.Manifest.self, folder.blob(descriptor), "manifest")
    }

    private static func fits(_ descriptor: ImageDocuments.Descriptor, _ wanted: Platform) -> Bool {
        guard let platform = descriptor.platform else { return true }
        return platform.os == wanted.os && platform.architecture == wanted.architecture
            && (wanted.variant == nil || platform.variant == nil || platform.variant == wanted.variant)
    }

    private static func platformName(_ descriptor: ImageDocuments.Descriptor) -> String? {
        guard let platform = descriptor.platform, let os = platform.os, let architecture = platform.architecture else { return nil }
        return Platform(os: os, architecture: architecture, variant: platform.variant).description
    }

    // MARK: Layers

    /// A layer's file, and the digest that it has as it lies there, where that is known.
    private struct Source {
        var path: String
        var digest: Digest?
    }

    private static func assemble(_ config: [UInt8], _ sources: [Source], _ folder: ImageFolder, _ staging: String) throws -> ImportedImage {
        let config = try ImageDocuments.decode(ImageDocuments.Config.self, config, "configuration")
        let diffIDs = config.rootfs?.diff_ids ?? []
        guard diffIDs.count == sources.count else {
            throw ImageError.damaged(reason: "its configuration lists \(diffIDs.count) layers, its manifest \(sources.count)")
        }
        guard sources.count <= maximumLayers else {
            throw ImageError.unsupported(reason: "it has \(sources.count) layers; overlayfs stacks at most \(maximumLayers)")
        }
        guard config.platform.os == "linux" else { throw ImageError.unsupported(reason: "it is for '\(config.platform)', not for linux") }
        let layers = try zip(sources, diffIDs).enumerated().map { number, layer in
            let file = "\(staging)/layer-\(number).tar"
            let descriptor = try folder.open(layer.0.path).use { input in
                try create(file) { output in try decompress(input, layer.0, to: FileSink(output)) }
            }
            guard descriptor.diffID.description == layer.1 else {
                throw ImageError.damaged(
                    reason: "layer \(number + 1) has the digest \(descriptor.diffID), its configuration says \(layer.1)")
            }
            return ImportedImage.Layer(descriptor: descriptor, path: file)
        }
        return ImportedImage(
            config: config.values, history: config.historyValues(layers: layers.count), platform: config.platform, layers: layers)
    }

    private static func decompress(_ input: Int32, _ source: Source, to sink: FileSink) throws -> LayerDescriptor {
        let raw = CountedSource(FileSource(input), limit: LayerLimits().bytes)
        let plain = CountedSource(try Decompressor(raw), limit: LayerLimits().bytes, tee: sink)
        let descriptor = try plain.finish()
        let compressed = try raw.finish()
        if let digest = source.digest, compressed.diffID != digest {
            throw ImageError.damaged(reason: "the content of '\(source.path)' has another digest")
        }
        return descriptor
    }

    private static func create<R>(_ path: String, _ body: (Int32) throws -> R) throws -> R {
        let number = Glibc.open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard number >= 0 else { throw LayerError.call("create", path.utf8) }
        return try Descriptor(owning: number).use(body)
    }
}
