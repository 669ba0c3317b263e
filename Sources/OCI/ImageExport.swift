import BlockingIO
import BuildPlan
import Digests

/// Writes images as archives, streaming: nothing is kept and no layer is read twice.
public enum ImageExport {
    /// Writes one layer's uncompressed archive, exactly as many bytes as its descriptor says.
    public typealias LayerProvider = (LayerDescriptor, any ByteSink) throws -> Void

    /// Writes an OCI image layout as tar. Blocks.
    /// - Parameters:
    ///   - config: the exact bytes of the configuration.
    ///   - manifest: the exact bytes of the manifest, which lists the layers uncompressed.
    ///   - layers: the manifest's, in its order.
    ///   - tags: `name[:tag]`; may be empty.
    public static func writeOCI(
        config: [UInt8], manifest: [UInt8], layers: [LayerDescriptor], tags: [String], to sink: any ByteSink, layerProvider: LayerProvider
    ) throws {
        let tar = TarWriter(to: sink, hashing: false)
        try layout(config, manifest, layers, tags, tar, layerProvider)
        _ = try tar.finish()
    }

    /// Writes what `docker load` reads: an archive with `manifest.json`, which is an OCI image layout as well. Blocks.
    ///
    /// The parameters are those of ``writeOCI(config:manifest:layers:tags:to:layerProvider:)``.
    public static func writeDocker(
        config: [UInt8], manifest: [UInt8], layers: [LayerDescriptor], tags: [String], to sink: any ByteSink, layerProvider: LayerProvider
    ) throws {
        let tar = TarWriter(to: sink, hashing: false)
        let list = JSONValue.array([
            .object([
                "Config": .string(blobPath(Digest.of(config))), "RepoTags": .strings(tags.map { ImageName($0).tagged }),
                "Layers": .strings(layers.map { blobPath($0.diffID) }),
            ])
        ])
        try file("manifest.json", list.bytes, tar)
        try layout(config, manifest, layers, tags, tar, layerProvider)
        _ = try tar.finish()
    }

    /// Writes a whole root file system as one tar. Blocks.
    /// - Parameter root: the merged directory; it must not change meanwhile.
    public static func writeTar(root: String, to sink: any ByteSink) throws {
        let tar = TarWriter(to: sink, hashing: false)
        var writer = LayerWriter(tar: tar, form: .plain)
        try writer.write(root: Descriptor.directory(root))
        _ = try tar.finish()
    }

    // MARK: Inside

    private static func layout(
        _ config: [UInt8], _ manifest: [UInt8], _ layers: [LayerDescriptor], _ tags: [String], _ tar: TarWriter, _ provider: LayerProvider
    ) throws {
        try file("oci-layout", JSONValue.object(["imageLayoutVersion": "1.0.0"]).bytes, tar)
        try file("index.json", index(manifest, tags), tar)
        for name in ["blobs", "blobs/sha256"] { try tar.header(TarEntry(path: Array(name.utf8), kind: .directory, mode: 0o755)) }
        try file(blobPath(Digest.of(manifest)), manifest, tar)
        try file(blobPath(Digest.of(config)), config, tar)
        var written: Set<Digest> = []
        for layer in layers where written.insert(layer.diffID).inserted {
            try tar.header(entry(blobPath(layer.diffID), layer.size))
            let content = LayerContent(tar, layer)
            try provider(layer, content)
            try content.finish()
            try tar.pad(layer.size)
        }
    }

    private static func index(_ manifest: [UInt8], _ tags: [String]) -> [UInt8] {
        func descriptor(_ annotations: [String: String]) -> JSONValue {
            ImageManifest.descriptor(MediaType.manifest, Digest.of(manifest), Int64(manifest.count), annotations: annotations)
        }
        let manifests = tags.map(ImageName.init).map { name in
            descriptor(["io.containerd.image.name": name.qualified, "org.opencontainers.image.ref.name": name.tag])
        }
        return JSONValue.object([
            "schemaVersion": .integer(2), "mediaType": .string(MediaType.index),
            "manifests": .array(manifests.isEmpty ? [descriptor([:])] : manifests),
        ]).bytes
    }

    private static func blobPath(_ digest: Digest) -> String { "blobs/sha256/\(digest.hex)" }

    private static func entry(_ path: String, _ size: Int64) -> TarEntry {
        TarEntry(path: Array(path.utf8), kind: .file(size: size), mode: 0o644)
    }

    private static func file(_ path: String, _ content: [UInt8], _ tar: TarWriter) throws {
        try tar.header(entry(path, Int64(content.count)))
        try tar.append(content)
        try tar.pad(Int64(content.count))
    }
}

/// A layer's place in an archive, which has the size that was said before.
private final class LayerContent: ByteSink {
    private let tar: TarWriter
    private let layer: LayerDescriptor
    private var rest: Int64

    init(_ tar: TarWriter, _ layer: LayerDescriptor) {
        self.tar = tar
        self.layer = layer
        rest = layer.size
    }

    func write(_ bytes: UnsafeRawBufferPointer) throws {
        guard Int64(bytes.count) <= rest else { throw mismatch("more") }
        rest -= Int64(bytes.count)
        try tar.append(bytes)
    }

    func finish() throws { guard rest == 0 else { throw mismatch("less") } }

    private func mismatch(_ word: String) -> LayerError {
        .mismatch(expected: "layer \(layer.diffID) of \(layer.size) bytes", found: "\(word) than that")
    }
}
