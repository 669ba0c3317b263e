import BuildPlan
import Digests
import FarmAPI
import FoundationEssentials
import Logging

@testable import Store

/// Stores in files of their own, and what is put into them.
enum TestStore {
    static let platform = Platform(os: "linux", architecture: "amd64")

    static func withFile<T>(_ body: (String) async throws -> T) async throws -> T {
        let path = "/tmp/farm-store-\(UUID().uuidString).sqlite"
        defer {
            for suffix in ["", "-wal", "-shm", ".copy", ".copy-wal", ".copy-shm"] {
                try? FileManager.default.removeItem(atPath: path + suffix)
            }
        }
        return try await body(path)
    }

    static func open(_ path: String, now: Timestamp? = nil) throws -> Store {
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        return try Store(path: path, now: now, logger: logger)
    }

    static func build(_ id: String, createdAt: Int64 = 0) -> StoredBuild {
        StoredBuild(
            id: id, user: "u",
            request: SubmitRequest(
                project: "p", dockerfile: "FROM scratch", dockerfileName: "Dockerfile", contextRoot: Digest.of("r"),
                options: BuildOptions(), requestID: id), platform: platform, uploaded: true, createdAt: Timestamp(seconds: createdAt))
    }

    /// A build that ended, with its events: the first plans, the last ends, all others are output.
    static func ended(_ id: String, at seconds: Int64, events: Int) -> [Change] {
        var build = build(id, createdAt: seconds)
        build.status = .succeeded
        build.finishedAt = Timestamp(seconds: seconds)
        var changes: [Change] = [
            .insert(build), .update(build), .put(StoredStage(build: id, number: 0, name: "m")),
            .put(StoredStep(build: id, stage: 0, number: 0, name: "s")),
            .append(BuildEvent(sequence: 1, time: .epoch, kind: .planned(stages: [])), to: id),
        ]
        for sequence in 2..<max(2, events) {
            changes.append(
                .append(BuildEvent(sequence: sequence, time: .epoch, kind: .log(stage: 0, step: 0, text: "line \(sequence)\n")), to: id))
        }
        changes.append(
            .append(BuildEvent(sequence: max(2, events), time: .epoch, kind: .finished(status: .succeeded, error: nil, image: nil)), to: id)
        )
        return changes
    }

    static func agent(_ name: String) -> StoredAgent {
        let hello = AgentHello(
            epoch: "e", labels: [:], slots: 2, address: "h:1", runtime: "crun", version: "1", assignments: [], layers: [], volumes: [],
            hostPaths: [])
        return StoredAgent(name: name, hello: hello, drained: false, lastSeen: .epoch, report: 0)
    }

    static func volume(_ id: String, head: Int, removed: Int = 0) -> StoredVolume {
        var volume = StoredVolume(key: VolumeKey(project: "p", id: id, platform: platform))
        volume.head = head
        volume.removed = removed
        return volume
    }

    /// A policy that keeps everything.
    static let keepAll = RetentionPolicy(buildsBefore: .epoch, logsBefore: .epoch, logBytes: nil, recordsBefore: .epoch)
}
