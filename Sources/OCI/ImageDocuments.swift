import BuildPlan
import Digests
import FoundationEssentials

/// What is read of images' JSON. Everything may be missing or null: the documents are from elsewhere.
enum ImageDocuments {
    /// A manifest or configuration is some kilobytes; registries take no more than this.
    static let maximumSize = 4 << 20

    struct Descriptor: Decodable {
        var mediaType: String?
        var digest: String
        var size: Int64
        var platform: PlatformName?
        var annotations: [String: String]?

        struct PlatformName: Decodable {
            var os: String?
            var architecture: String?
            var variant: String?
        }
    }

    /// An index or a manifest; which of them shows in what it has.
    struct Manifest: Decodable {
        var mediaType: String?
        var manifests: [Descriptor]?
        var config: Descriptor?
        var layers: [Descriptor]?
    }

    struct DockerManifest: Decodable {
        var Config: String
        var Layers: [String]?
        var RepoTags: [String]?
    }

    struct Config: Decodable {
        var os: String?
        var architecture: String?
        var variant: String?
        var author: String?
        var config: Runtime?
        var history: [History]?
        var rootfs: RootFileSystem?

        struct RootFileSystem: Decodable { var diff_ids: [String]? }

        struct History: Decodable {
            var created: String?
            var created_by: String?
            var author: String?
            var comment: String?
            var empty_layer: Bool?
        }

        struct Runtime: Decodable {
            var User: String?
            var ExposedPorts: [String: Empty]?
            var Env: [String]?
            var Entrypoint: [String]?
            var Cmd: [String]?
            var Volumes: [String: Empty]?
            var WorkingDir: String?
            var Labels: [String: String]?
            var StopSignal: String?
            var Shell: [String]?
            var OnBuild: [String]?
            var Healthcheck: Check?
        }

        struct Empty: Decodable {}

        struct Check: Decodable {
            var Test: [String]?
            var Interval: Int64?
            var Timeout: Int64?
            var StartPeriod: Int64?
            var StartInterval: Int64?
            var Retries: Int?
        }
    }

    static func decode<T: Decodable>(_ type: T.Type, _ bytes: [UInt8], _ name: String) throws -> T {
        do { return try JSONDecoder().decode(type, from: Data(bytes)) } catch {
            throw ImageError.damaged(reason: "its \(name) is not the JSON that it should be")
        }
    }
}

extension ImageDocuments.Config {
    /// The configuration in our values.
    var values: ImageConfig {
        var result = ImageConfig()
        result.author = author.nonEmpty
        guard let config else { return result }
        result.user = config.User.nonEmpty
        result.exposedPorts = (config.ExposedPorts ?? [:]).keys.sorted()
        result.env = config.Env ?? []
        result.entrypoint = config.Entrypoint
        result.cmd = config.Cmd
        result.volumes = (config.Volumes ?? [:]).keys.sorted()
        result.workingDirectory = config.WorkingDir.nonEmpty
        result.labels = config.Labels ?? [:]
        result.stopSignal = config.StopSignal.nonEmpty
        result.shell = config.Shell
        result.onBuild = config.OnBuild ?? []
        if let check = config.Healthcheck, let test = check.Test, !test.isEmpty {
            var healthcheck = Healthcheck(test: test)
            healthcheck.interval = check.Interval ?? 0
            healthcheck.timeout = check.Timeout ?? 0
            healthcheck.startPeriod = check.StartPeriod ?? 0
            healthcheck.startInterval = check.StartInterval ?? 0
            healthcheck.retries = check.Retries ?? 0
            result.healthcheck = healthcheck
        }
        return result
    }

    /// The history, completed or cut so that each layer has one entry: tools that write images do not all write one.
    func historyValues(layers: Int) -> [HistoryEntry] {
        var left = layers
        var result: [HistoryEntry] = []
        for entry in history ?? [] {
            let empty = entry.empty_layer ?? false
            if !empty {
                if left == 0 { continue }
                left -= 1
            }
            result.append(
                HistoryEntry(
                    createdBy: entry.created_by ?? "", comment: entry.comment.nonEmpty, author: entry.author.nonEmpty, emptyLayer: empty,
                    created: entry.created.flatMap { Timestamp($0) }))
        }
        return result + (0..<left).map { _ in HistoryEntry(createdBy: "", comment: "imported without history", emptyLayer: false) }
    }

    /// Where the image runs.
    var platform: Platform {
        Platform(os: os.nonEmpty ?? "linux", architecture: architecture.nonEmpty ?? "unknown", variant: variant.nonEmpty)
    }
}

extension Optional where Wrapped == String {
    fileprivate var nonEmpty: String? { flatMap { $0.isEmpty ? nil : $0 } }
}
