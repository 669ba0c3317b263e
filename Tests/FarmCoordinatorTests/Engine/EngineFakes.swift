import BuildPlan
import Digests
import FarmAPI
import FoundationEssentials
import Synchronization

@testable import FarmCoordinator

/// A context of texts by path.
final class FakeContexts: ContextAccess {
    struct State {
        var files: [String: String] = [:]
        var stored: Set<Digest> = []
        var hasTree = true
        var hidesContents = false
        /// Roots whose directories are gone.
        var lost: Set<Digest> = []
        var held: [String: Set<TreeSelection>] = [:]
        /// All that was held, in order.
        var holds: [(build: String, selections: Set<TreeSelection>)] = []
    }
    let state = Mutex(State())

    func set(_ path: String, _ text: String) { state.withLock { $0.files[path] = text } }
    func hasTree(_ root: Digest) async throws -> Bool { state.withLock { $0.hasTree && !$0.lost.contains(root) } }

    func contentDigest(root: Digest, selection: TreeSelection) async throws -> Digest {
        try state.withLock { state in
            guard let text = state.files[selection.path] else { throw EngineError.notFound("\(selection.path): not found in the context") }
            return Digest.of(text)
        }
    }

    func missingContents(root: Digest, selections: [TreeSelection]) async throws -> [Digest] {
        state.withLock { state in
            guard state.hidesContents else { return [] }
            return selections.compactMap { state.files[$0.path].map { Digest.of($0) } }.filter { !state.stored.contains($0) }
        }
    }

    func hold(_ selections: Set<TreeSelection>, root: Digest, for build: String) {
        state.withLock { state in
            state.held[build] = selections
            state.holds.append((build, selections))
        }
    }
    func holdTree(_ root: Digest, for build: String) {}
    func release(_ build: String) { state.withLock { $0.held[build] = nil } }

    func contentBytes(root: Digest, selections: [TreeSelection]) async throws -> Int64 {
        state.withLock { state in selections.reduce(0) { $0 + Int64(state.files[$1.path]?.utf8.count ?? 0) } }
    }
}

struct FakeImages: ImageAccess {
    static let base = BaseImage(
        name: "base", platform: Platform(os: "linux", architecture: "amd64"), config: ImageConfig(),
        history: [HistoryEntry(createdBy: "base", emptyLayer: false, created: Timestamp(seconds: 100))],
        layers: [LayerDescriptor(diffID: Digest.of("base layer"), size: 1000)])

    func image(named name: String, platform: Platform) async throws -> BaseImage? { name == "base" ? Self.base : nil }
    func layersAtCoordinator() async throws -> Set<Digest> { Set(Self.base.layers.map(\.diffID)) }
}

struct FakeGrants: GrantSigner {
    var publicKey: String { String(repeating: "0", count: 64) }
    func sign(_ grant: Grant) throws -> String { "\(grant.subject) may fetch \(grant.object)" }
}

/// Time that moves when the test says so; ticks come every few real milliseconds.
final class HeldClock: EngineClock {
    private let seconds = Mutex(1000.0)
    private let wall = Mutex(0.0)
    /// Somebody sets the wall clock.
    func setWall(forward by: Double) { wall.withLock { $0 += by } }
    func advance(_ by: Double) { seconds.withLock { $0 += by } }
    func monotonic() -> Double { seconds.withLock { $0 } }
    func now() -> Timestamp { Timestamp(nanoseconds: Int64((monotonic() + wall.withLock { $0 }) * 1e9)) }
    func sleep(seconds: Double) async throws { try await Task.sleep(for: .milliseconds(5)) }
}

/// The plan is the Dockerfile, as JSON.
struct JSONFrontend: Frontend {
    func baseImages(of request: SubmitRequest, platform: Platform) throws -> [String] { ["base"] }
    func plan(of request: SubmitRequest, platform: Platform, images: [String: BaseImage]) throws -> Plan {
        try FarmJSON.decode(Plan.self, from: Array(request.dockerfile.utf8))
    }
}

/// Short forms of plans.
enum Make {
    static let platform = Platform(os: "linux", architecture: "amd64")

    static func run(_ command: String, _ mounts: [Mount] = []) -> Step {
        Step(
            name: "RUN \(command)",
            operation: .run(RunOperation(arguments: ["sh", "-c", command], environment: [], workingDirectory: "/", mounts: mounts)),
            lines: 1...1)
    }

    static func copy(_ path: String, from: TreeSource = .context) -> Step {
        Step(
            name: "COPY \(path)", operation: .copy(CopyOperation(sources: [.tree(path)], from: from, destination: "/\(path)")), lines: 2...2
        )
    }

    static func stage(_ name: String, _ steps: [Step]) -> Stage { stage(name, .image("base"), steps) }

    static func stage(_ name: String, _ base: StageBase, _ steps: [Step]) -> Stage {
        Stage(
            name: name, base: base, steps: steps, config: ImageConfig(),
            history: [HistoryEntry(createdBy: "base", emptyLayer: false, created: Timestamp(seconds: 100))]
                + steps.map { HistoryEntry(createdBy: $0.name, emptyLayer: false) })
    }

    static func plan(_ stages: [Stage]) -> Plan { Plan(stages: stages, target: stages.count - 1, platform: platform) }

    static func cache(_ id: String, _ sharing: Sharing = .shared) -> Mount {
        Mount(target: "/\(id)", readOnly: false, kind: .cache(CacheMount(id: id, sharing: sharing)))
    }

    static func request(_ plan: Plan, id: String = UUID().uuidString, options: BuildOptions = BuildOptions()) throws -> SubmitRequest {
        SubmitRequest(
            project: "p", dockerfile: String(decoding: try FarmJSON.encode(plan), as: UTF8.self), dockerfileName: "Dockerfile",
            contextRoot: Digest.of("root"), options: options, requestID: id)
    }
}

/// Waits for a condition; a test that waits in vain fails by its time limit.
func eventually(isolation: isolated (any Actor)? = #isolation, _ condition: () async throws -> Bool) async throws {
    while try await !condition() { try await Task.sleep(for: .milliseconds(3)) }
}
