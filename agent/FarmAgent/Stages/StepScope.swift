import BlockingIO
import BuildPlan
import Digests
import Layers
import Sandbox
import Synchronization

/// What a step has while it runs: a folder, mounts, layers that must stay. All of it ends with ``close()``.
final class StepScope: Sendable {
    let folder: WorkFolder
    private let services: StageServices
    private let purpose: String
    private let endings = Mutex<[@Sendable () -> Void]>([])
    private let roots = Mutex<[TreeSource: Snapshot]>([:])
    private let received = Mutex<Int64>(0)
    private let waiting = Mutex<Duration>(.zero)
    private let counter = Atomic(0)

    init(services: StageServices, purpose: String) async throws {
        self.services = services
        self.purpose = purpose
        let path = services.workPath()
        folder = try await BlockingPool.shared.run { try WorkFolder(path) }
    }

    /// Bytes of layers that came over the network for this step.
    var layerBytes: Int64 { received.withLock { $0 } }

    /// Time in which layers were brought.
    var waited: Duration { waiting.withLock { $0 } }

    /// Brings layers and keeps them here until the end; their directories.
    func pin(_ layers: [LayerDescriptor]) async throws -> [String] {
        let begun = ContinuousClock.now
        let pinned = try await services.fetcher.pin(layers, purpose: purpose)
        waiting.withLock { $0 += .now - begun }
        received.withLock { $0 += pinned.bytes }
        let digests = layers.map(\.diffID)
        atEnd { [layers = services.layers] in layers.unpin(digests) }
        return pinned.paths
    }

    /// A stack of layers, mounted read-only until the end.
    func root(of source: TreeSource, layers: [LayerDescriptor]) async throws -> String {
        if let known = roots.withLock({ $0[source] }) { return known.path }
        let snapshot = try await mount(layers)
        roots.withLock { $0[source] = snapshot }
        return snapshot.path
    }

    /// Mounts a stack until the end. Writable ones lose what is written.
    func mount(_ layers: [LayerDescriptor], writable: Bool = false) async throws -> Snapshot {
        try await mount(directories: try await pin(layers), writable: writable)
    }

    /// Mounts directories as layers, lowest first, until the end.
    func mount(directories: [String], writable: Bool) async throws -> Snapshot {
        let snapshot = try await BlockingPool.shared.run { [self] in
            let scratch = try directory()
            var room: Snapshot.Room?
            if writable { room = Snapshot.Room(upper: try directory(), work: try directory()) }
            return try Snapshot.mount(layers: directories, scratch: scratch, room: room)
        }
        atEnd { snapshot.unmount() }
        return snapshot
    }

    /// A new directory in the folder. Blocking.
    func directory() throws -> String { try folder.directory("\(counter.add(1, ordering: .relaxed).newValue)") }

    /// Something to be done at the end, the last first. It may block.
    func atEnd(_ body: @escaping @Sendable () -> Void) { endings.withLock { $0.append(body) } }

    /// Undoes everything, also in a task that was cancelled.
    func close() async {
        let bodies = endings.withLock { endings in
            defer { endings = [] }
            return endings
        }
        _ = try? await BlockingPool.shared.run { [folder] in
            for body in bodies.reversed() { body() }
            folder.remove()
        }
    }
}
