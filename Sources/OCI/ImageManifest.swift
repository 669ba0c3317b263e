import BuildPlan
import Digests

/// An image's configuration and manifest as the bytes that their digests are of (OCI image specification 1.1).
///
/// The same values give the same bytes. Layers are listed uncompressed, so that no layer's content is needed.
public struct ImageManifest: Sendable, Hashable {
    /// The configuration: JSON.
    public let config: [UInt8]
    public let configDigest: Digest
    /// The manifest: JSON.
    public let manifest: [UInt8]
    /// The manifest's: the image's digest.
    public let digest: Digest

    /// Makes both documents.
    /// - Parameters:
    ///   - history: lowest first, as many entries that are not empty as there are layers.
    ///   - layers: lowest first.
    /// - Throws: ``ImageError/inconsistent(reason:)`` where history and layers do not fit.
    public static func make(
        config: ImageConfig, platform: Platform, history: [HistoryEntry], layers: [LayerDescriptor], created: Timestamp
    ) throws -> ImageManifest {
        let filled = history.count { !$0.emptyLayer }
        guard filled == layers.count else {
            throw ImageError.inconsistent(reason: "its history tells of \(filled) layers, but it has \(layers.count)")
        }
        var document: [String: JSONValue] = [
            "architecture": .string(platform.architecture), "os": .string(platform.os), "created": .string(created.description),
            "config": runtime(config), "history": .array(history.map(entry)),
            "rootfs": .object(["type": "layers", "diff_ids": .strings(layers.map(\.diffID.description))]),
        ]
        document["variant"] = platform.variant.map { .string($0) }
        document["author"] = config.author.map { .string($0) }
        let configBytes = JSONValue.object(document).bytes
        let configDigest = Digest.of(configBytes)
        let manifest = JSONValue.object([
            "schemaVersion": .integer(2), "mediaType": .string(MediaType.manifest),
            "config": descriptor(MediaType.config, configDigest, Int64(configBytes.count)),
            "layers": .array(layers.map { descriptor(MediaType.layer, $0.diffID, $0.size) }),
        ]).bytes
        return ImageManifest(config: configBytes, configDigest: configDigest, manifest: manifest, digest: Digest.of(manifest))
    }

    static func descriptor(_ type: String, _ digest: Digest, _ size: Int64, annotations: [String: String] = [:]) -> JSONValue {
        var members: [String: JSONValue] = ["mediaType": .string(type), "digest": .string(digest.description), "size": .integer(size)]
        if !annotations.isEmpty { members["annotations"] = .object(annotations.mapValues { .string($0) }) }
        return .object(members)
    }

    private static func runtime(_ config: ImageConfig) -> JSONValue {
        var members: [String: JSONValue] = [:]
        func put(_ name: String, _ text: String?) { if let text, !text.isEmpty { members[name] = .string(text) } }
        func put(_ name: String, _ list: [String]?) { if let list { members[name] = .strings(list) } }
        // Go's form of a set.
        func put(_ name: String, set: [String]) {
            if !set.isEmpty { members[name] = .object(Dictionary(set.map { ($0, .object([:])) }) { first, _ in first }) }
        }
        put("User", config.user)
        put("ExposedPorts", set: config.exposedPorts)
        put("Env", config.env.isEmpty ? nil : config.env)
        put("Entrypoint", config.entrypoint)
        put("Cmd", config.cmd)
        put("Volumes", set: config.volumes)
        put("WorkingDir", config.workingDirectory)
        if !config.labels.isEmpty { members["Labels"] = .object(config.labels.mapValues { .string($0) }) }
        put("StopSignal", config.stopSignal)
        put("Shell", config.shell)
        put("OnBuild", config.onBuild.isEmpty ? nil : config.onBuild)
        if let check = config.healthcheck { members["Healthcheck"] = healthcheck(check) }
        return .object(members)
    }

    private static func healthcheck(_ check: Healthcheck) -> JSONValue {
        var members: [String: JSONValue] = ["Test": .strings(check.test)]
        let numbers = [
            ("Interval", check.interval), ("Timeout", check.timeout), ("StartPeriod", check.startPeriod),
            ("StartInterval", check.startInterval), ("Retries", Int64(check.retries)),
        ]
        for (name, value) in numbers where value != 0 { members[name] = .integer(value) }
        return .object(members)
    }

    private static func entry(_ entry: HistoryEntry) -> JSONValue {
        var members: [String: JSONValue] = ["created_by": .string(entry.createdBy)]
        members["created"] = entry.created.map { .string($0.description) }
        members["author"] = entry.author.map { .string($0) }
        members["comment"] = entry.comment.map { .string($0) }
        if entry.emptyLayer { members["empty_layer"] = .bool(true) }
        return .object(members)
    }
}
