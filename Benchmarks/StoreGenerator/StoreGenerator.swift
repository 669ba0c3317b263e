import ArgumentParser
import BuildPlan
import Digests
import FarmAPI
import Glibc
import Logging
import Store

/// Fills the store of a coordinator that does not run with builds that have ended, as they would be after weeks of work.
@main
struct StoreGenerator: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "store-generator", abstract: "Writes a store of many ended builds, for Benchmarks/restart.sh.")

    @Argument(help: "The coordinator's data directory.") var data: String
    @Option(help: "Ended builds.") var builds = 10_000
    @Option(help: "Builds that are under way.") var open = 10
    @Option(help: "Log events of a build.") var events = 100
    @Option(help: "Packs of directories, and as many of file contents, in the contexts that clients have uploaded.") var packs = 5_000
    @Option(help: "Agents, each of which has 2,000 layers and 100 volumes.") var agents = 20

    private static let stages = 2
    private static let steps = 6
    private static let layersPerAgent = 2_000
    private static let volumesPerAgent = 100
    /// Builds of one transaction.
    private static let batch = 50
    private static let platform = Platform(os: "linux", architecture: "amd64")

    mutating func run() async throws {
        let store = try Store(path: "\(data)/farm.sqlite", logger: Logger(label: "store"))
        try await writeAgents(store)
        for first in stride(from: 0, to: builds + open, by: Self.batch) {
            var changes: [Change] = []
            for number in first..<min(first + Self.batch, builds + open) { changes += build(number, isOpen: number >= builds) }
            try await store.write(changes).durable()
        }
        try await store.close()
        for folder in ["context", "context/objects", "context/packs"] { mkdir("\(data)/\(folder)", 0o700) }
        try UploadedContexts.write(packs, to: data)
        print("\(builds) builds, \(open) under way, \((builds + open) * events) log events")
    }

    private func layer(_ number: Int) -> LayerDescriptor {
        LayerDescriptor(diffID: Digest.of("layer \(number)"), size: Int64(number % 1000) * 10_000)
    }

    private func writeAgents(_ store: Store) async throws {
        for agent in 0..<agents {
            let name = "agent-\(agent + 1)"
            let hello = AgentHello(
                epoch: "e\(agent)", labels: ["os": "linux", "arch": "amd64", "name": name], slots: 8, address: "\(name):7481",
                runtime: "crun", version: "1", assignments: [], layers: [], volumes: [], hostPaths: [])
            var changes: [Change] = [.put(StoredAgent(name: name, hello: hello, drained: false, lastSeen: .epoch, report: 1))]
            for number in 0..<Self.layersPerAgent { changes.append(.add(layer(agent * Self.layersPerAgent / 2 + number), to: name)) }
            for number in 0..<Self.volumesPerAgent {
                let key = VolumeKey(project: "project-\(number % 50)", id: "cache-\(agent / 2)-\(number)", platform: Self.platform)
                var volume = StoredVolume(key: key)
                volume.head = 40
                volume.bytes = 1 << 30
                volume.files = 60_000
                volume.publications = (9...40).map {
                    StoredVolume.Publication(
                        generation: $0, parent: $0 - 1, digest: Digest.of("\(key) \($0)"), bytes: 1 << 20,
                        time: Timestamp(seconds: Int64($0)))
                }
                changes.append(.put(volume))
                changes.append(.put(HeldVolume(key: key, generation: 40), agent: name))
            }
            try await store.write(changes).durable()
        }
    }

    private func build(_ number: Int, isOpen: Bool) -> [Change] {
        let id = "b" + String(number, radix: 32).leftPadded(to: 11)
        let project = "project-\(number % 50)"
        // Ten minutes apart: none is old enough to be removed.
        let created = Timestamp.beforeNow(seconds: Int64(builds + open - number) * 120)
        let request = SubmitRequest(
            project: project, dockerfile: "FROM base\n" + String(repeating: "RUN make something\n", count: Self.steps),
            dockerfileName: "Dockerfile", contextRoot: Digest.of("root \(number)"), options: BuildOptions(), requestID: "r\(number)")
        var stored = StoredBuild(
            id: id, user: "user-\(number % 200)", request: request, platform: Self.platform, uploaded: true, createdAt: created)
        stored.status = isOpen ? .running : .succeeded
        stored.startedAt = created
        let layers = (0..<Self.stages * Self.steps).map { layer(number * 7 + $0) }
        var changes: [Change] = [.insert(stored), .plan(plan(), of: id)]
        if !isOpen {
            stored.finishedAt = created
            stored.image = StoredResult(
                digest: Digest.of("m\(number)"), configDigest: Digest.of("c\(number)"), manifest: String(repeating: "m", count: 1500),
                config: String(repeating: "c", count: 2500), layers: layers)
        }
        changes.append(.update(stored))
        for stage in 0..<Self.stages {
            var row = StoredStage(build: id, number: stage, name: "stage-\(stage)")
            row.status = isOpen ? .queued : .succeeded
            row.agent = "agent-\(number % max(1, agents) + 1)"
            row.attempts = 1
            row.placement = "agent-1: 0.0 s for its queue, 0.2 s for 12.3 MB, 14 s to run"
            changes.append(.put(row))
            changes.append(.put(StoredDuration(project: project, stage: row.name, count: 10, mean: 12.5)))
            for step in 0..<Self.steps {
                var row = StoredStep(build: id, stage: stage, number: step, name: "RUN make something")
                row.status = isOpen ? .queued : .succeeded
                if !isOpen {
                    row.key = Digest.of("key \(number) \(stage) \(step)")
                    row.layer = layers[stage * Self.steps + step]
                    row.createdAt = created
                    row.startedAt = created
                    row.finishedAt = created
                    changes.append(
                        .put(
                            StoredRecord(
                                key: Digest.of("key \(number) \(stage) \(step)"), layer: layers[stage * Self.steps + step],
                                createdAt: created)))
                }
                changes.append(.put(row))
            }
        }
        for event in 1...max(1, events) {
            let text = "[\(event)/\(events)] cc -O2 -Wall -c -o objects/module_\(event).o sources/module_\(event).c\n"
            changes.append(
                .append(
                    BuildEvent(
                        sequence: event, time: created, kind: .log(stage: event % Self.stages, step: event % Self.steps, text: text)),
                    to: id))
        }
        if !isOpen {
            changes.append(
                .append(
                    BuildEvent(sequence: events + 1, time: created, kind: .finished(status: .succeeded, error: nil, image: nil)), to: id))
        }
        return changes
    }

    private func plan() -> StoredPlan {
        let stages = (0..<Self.stages).map { stage in
            Stage(
                name: "stage-\(stage)", base: .scratch,
                steps: (0..<Self.steps).map { step in
                    Step(
                        name: "RUN make something",
                        operation: .run(
                            RunOperation(
                                arguments: ["sh", "-c", "make something \(step)"], environment: ["PATH=/usr/bin:/bin"],
                                workingDirectory: "/", mounts: [])),
                        lines: step + 1...step + 1)
                }, config: ImageConfig(),
                history: (0..<Self.steps).map { _ in HistoryEntry(createdBy: "RUN make something", emptyLayer: false) })
        }
        return StoredPlan(plan: Plan(stages: stages, target: Self.stages - 1, platform: Self.platform), images: [:])
    }
}

extension String {
    fileprivate func leftPadded(to count: Int) -> String { String(repeating: "0", count: max(0, count - self.count)) + self }
}
