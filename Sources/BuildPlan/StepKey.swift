import Digests

extension Step {
    /// The digest of everything that determines the step's result; the same key means the same result.
    ///
    /// - Parameters:
    ///   - parent: the chain of the layers below.
    ///   - platform: of the image.
    ///   - inputs: one content digest for each of ``Operation/inputs``, in that order.
    public func key(parent: Digest, platform: Platform, inputs: [Digest]) -> Digest {
        var encoder = KeyEncoder(version: "farm-step-1")
        encoder.append(parent)
        encoder.append(platform.description)
        operation.append(to: &encoder)
        encoder.append(inputs.count)
        for input in inputs { encoder.append(input) }
        return encoder.finish()
    }
}

extension Operation {
    fileprivate func append(to encoder: inout KeyEncoder) {
        switch self {
        case .run(let run):
            encoder.append("run")
            encoder.append(run.arguments)
            encoder.append(run.keyedEnvironment)
            encoder.append(run.workingDirectory)
            encoder.append(run.user ?? "")
            encoder.append(run.network.rawValue)
            encoder.append(run.mounts.count)
            for mount in run.mounts { mount.append(to: &encoder) }
            encoder.append(run.files.flatMap { [$0.path, $0.content] })
            // What is rare stands at the end, where it is there: so that keys stay as they were before it could be there.
            if !run.extraHosts.isEmpty { encoder.append(["hosts"] + run.extraHosts) }
            if let size = run.shmSize { encoder.append(["shm", String(size)]) }
            if let version = run.cacheVersion { encoder.append(["version", version]) }
            if !run.git.isEmpty { encoder.append("git") }
            for mapping in run.git { mapping.append(to: &encoder) }
        case .copy(let copy):
            encoder.append("copy")
            encoder.append(copy.sources.count)
            for source in copy.sources {
                switch source {
                // The pattern is not part of the key: the names that it selects are part of the input's digest.
                case .tree: encoder.append("tree")
                case .inline(let file): encoder.append(["inline", file.path, file.content])
                }
            }
            encoder.append(copy.from == .context ? "context" : "tree")
            encoder.append(copy.destination)
            encoder.append(copy.owner ?? "")
            encoder.append(copy.mode.map { Int($0) } ?? -1)
            encoder.append(copy.unpacksArchives ? 1 : 0)
            encoder.append(copy.excludes)
            copy.filter?.append(to: &encoder)
        case .makeDirectory(let path):
            encoder.append(["directory", path])
        case .git(let git):
            encoder.append(["git", git.kind.rawValue])
            encoder.append(git.mappings.count)
            for mapping in git.mappings { mapping.append(to: &encoder) }
        case .emptyDirectories(let paths):
            encoder.append("empty")
            encoder.append(paths)
        }
    }
}

extension RunOperation {
    fileprivate var keyedEnvironment: [String] {
        if unkeyedNames.isEmpty { return environment }
        let prefixes = unkeyedNames.map { Array(($0 + "=").utf8) }
        return environment.filter { entry in !prefixes.contains { entry.utf8.starts(with: $0) } }
    }
}

extension Mount {
    // The place from which a bind mount comes is not part of the key, its content is: that is one of the inputs.
    fileprivate func append(to encoder: inout KeyEncoder) {
        encoder.append(target)
        encoder.append(readOnly ? 1 : 0)
        switch kind {
        case .bind: encoder.append("bind")
        case .cache(let cache): encoder.append(["cache", cache.volumeID, cache.seed == nil ? "" : "seeded"])
        case .tmpfs(let size): encoder.append(["tmpfs", size.map { String($0) } ?? ""])
        case .temporary: encoder.append("temporary")
        case .host(let path): encoder.append(["host", path])
        case .secret(let secret):
            // A secret's value is no part of a key, nor is whether there is one.
            encoder.append([
                "secret", secret.id, secret.isFile ? "file" : "", secret.variable ?? "",
                "\(secret.uid):\(secret.gid):\(String(secret.mode, radix: 8))",
            ])
        }
    }
}

extension GitMapping {
    fileprivate func append(to encoder: inout KeyEncoder) {
        encoder.append([path, destination, owner ?? ""])
        filter.append(to: &encoder)
    }
}

/// Writes values one after another so that no two sequences of values give the same bytes: each has its length in front.
struct KeyEncoder: ~Copyable {
    private var hasher = SHA256Hasher()

    init(version: String) { append(version) }

    mutating func append(_ text: String) {
        let bytes = Array(text.utf8)
        append(bytes.count)
        hasher.update(bytes)
    }

    mutating func append(_ number: Int) {
        withUnsafeBytes(of: Int64(number).littleEndian) { hasher.update($0) }
    }

    mutating func append(_ digest: Digest) { digest.withUnsafeBytes { hasher.update($0) } }

    mutating func append(_ list: [String]) {
        append(list.count)
        for text in list { append(text) }
    }

    consuming func finish() -> Digest { hasher.finalize() }
}
