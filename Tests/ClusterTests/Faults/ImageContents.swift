import FarmAPI
import Testing

/// What of an image does not depend on when it was made: all but the times in its configuration, and so its digest.
struct ImageContents: Equatable {
    /// Digests of the layers as they are sent.
    var layers: [String]
    var diffIDs: [String]
    /// Environment, command and so on.
    var command: [String]?
    var workingDirectory: String?

    /// Of an OCI layout in a tar.
    init(archive: String) async throws {
        let index = try await Self.read(Index.self, "index.json", of: archive)
        let manifest = try await Self.read(Manifest.self, Self.path(index.manifests[0].digest), of: archive)
        let configuration = try await Self.read(Configuration.self, Self.path(manifest.config.digest), of: archive)
        layers = manifest.layers.map(\.digest)
        diffIDs = configuration.rootfs.diff_ids
        command = configuration.config?.Cmd
        workingDirectory = configuration.config?.WorkingDir
    }

    private struct Reference: Decodable { var digest: String }
    private struct Index: Decodable { var manifests: [Reference] }
    private struct Manifest: Decodable {
        var config: Reference
        var layers: [Reference]
    }
    private struct Configuration: Decodable {
        struct Layers: Decodable { var diff_ids: [String] }
        struct Settings: Decodable {
            var Cmd: [String]?
            var WorkingDir: String?
        }
        var rootfs: Layers
        var config: Settings?
    }

    private static func path(_ digest: String) -> String { "blobs/" + digest.split(separator: ":").joined(separator: "/") }

    private static func read<T: Decodable>(_ type: T.Type, _ path: String, of archive: String) async throws -> T {
        let read = try await Command.run(["tar", "-xOf", archive, path])
        try #require(read.status == 0, "\(read.testDescription)")
        return try FarmJSON.decode(type, from: Array(read.output.utf8))
    }
}
