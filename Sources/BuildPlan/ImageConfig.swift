import Digests

/// What an image says about running it: the `config` object of the OCI image configuration, as values.
public struct ImageConfig: Hashable, Sendable, Codable {
    /// `user[:group]`, names or numbers.
    public var user: String?
    /// `port/protocol`, sorted, each once.
    public var exposedPorts: [String] = []
    /// `NAME=value`, in the order of definition, each name once.
    public var env: [String] = []
    /// The command's fixed part.
    public var entrypoint: [String]?
    /// The command, or the entry point's default arguments.
    public var cmd: [String]?
    /// Absolute paths, sorted, each once.
    public var volumes: [String] = []
    /// An absolute path.
    public var workingDirectory: String?
    /// Labels by name.
    public var labels: [String: String] = [:]
    /// `SIGTERM` or a number.
    public var stopSignal: String?
    /// Docker's extension.
    public var healthcheck: Healthcheck?
    /// Docker's extension: what shell forms run by; nil means `/bin/sh -c`.
    public var shell: [String]?
    /// Docker's extension: instructions for builds upon this image.
    public var onBuild: [String] = []
    /// The author, from MAINTAINER.
    public var author: String?

    /// An empty configuration.
    public init() {}

    /// The value of an environment variable; nil when it is not set.
    public func environment(_ name: String) -> String? {
        // By bytes: a value may begin with a combining character, which would make one Character with the '='.
        let prefix = Array((name + "=").utf8)
        guard let entry = env.first(where: { $0.utf8.starts(with: prefix) }) else { return nil }
        return String(decoding: entry.utf8.dropFirst(prefix.count), as: UTF8.self)
    }

    /// Sets an environment variable where it stands, or at the end.
    public mutating func setEnvironment(_ name: String, _ value: String) {
        let prefix = Array((name + "=").utf8)
        if let index = env.firstIndex(where: { $0.utf8.starts(with: prefix) }) {
            env[index] = "\(name)=\(value)"
        } else {
            env.append("\(name)=\(value)")
        }
    }
}

/// Docker's HEALTHCHECK. Durations are in nanoseconds; 0 means the default of whoever runs the image.
public struct Healthcheck: Hashable, Sendable, Codable {
    /// `["NONE"]`, `["CMD", …]` or `["CMD-SHELL", command]`.
    public var test: [String]
    /// Between two checks.
    public var interval: Int64 = 0
    /// After which a check counts as failed.
    public var timeout: Int64 = 0
    /// After the start, in which failures do not count.
    public var startPeriod: Int64 = 0
    /// Between two checks in the start period.
    public var startInterval: Int64 = 0
    /// Failures in a row until the container counts as unhealthy; 0 means the default.
    public var retries: Int = 0

    /// A check without durations of its own.
    public init(test: [String]) { self.test = test }
}

/// One line of an image's history.
public struct HistoryEntry: Hashable, Sendable, Codable {
    /// The instruction, as `docker history` shows it.
    public var createdBy: String
    /// Free text.
    public var comment: String?
    /// From MAINTAINER.
    public var author: String?
    /// True where the instruction made no layer.
    public var emptyLayer: Bool
    /// When; nil until the step has run.
    public var created: Timestamp?

    /// An entry of the instruction's text, with nothing else known by default.
    public init(
        createdBy: String, comment: String? = nil, author: String? = nil, emptyLayer: Bool, created: Timestamp? = nil
    ) {
        self.createdBy = createdBy
        self.comment = comment
        self.author = author
        self.emptyLayer = emptyLayer
        self.created = created
    }
}

/// A layer by content: the digest and size of its uncompressed canonical tar.
public struct LayerDescriptor: Hashable, Sendable, Codable {
    /// SHA-256 of the uncompressed tar: OCI's diffID.
    public var diffID: Digest
    /// Bytes of the uncompressed tar.
    public var size: Int64

    /// A layer by its two properties.
    public init(diffID: Digest, size: Int64) {
        self.diffID = diffID
        self.size = size
    }
}

/// An image that is there to build upon.
public struct BaseImage: Hashable, Sendable, Codable {
    /// The name under which it was found.
    public var name: String
    /// Where it runs.
    public var platform: Platform
    public var config: ImageConfig
    public var history: [HistoryEntry]
    /// Lowest first.
    public var layers: [LayerDescriptor]

    /// An image of what was read of it.
    public init(name: String, platform: Platform, config: ImageConfig, history: [HistoryEntry], layers: [LayerDescriptor]) {
        self.name = name
        self.platform = platform
        self.config = config
        self.history = history
        self.layers = layers
    }
}
