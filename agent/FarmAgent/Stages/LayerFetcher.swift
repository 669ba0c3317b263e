import BlockingIO
import BuildPlan
import Digests
import FarmAPI
import Layers
import Logging
import Volumes

/// Brings layers to this agent's disk: from agents that have them, else from the coordinator. Each is verified before it is there.
struct LayerFetcher: Sendable {
    /// More do not make a link faster, and each takes a thread and a place on the disk's queue.
    private static let concurrency = 4
    /// The cache's cleaning may take a layer between its arrival and its use.
    private static let attempts = 3

    private let store: LayerStore
    private let api: APIClient
    private let peers: PeerClient
    private let holdings: Holdings
    private let logger: Logger
    /// One fetch a layer, however many steps wait for it; its bytes.
    private let fetches = SharedWork<Digest, Int64>()

    init(store: LayerStore, api: APIClient, peers: PeerClient, holdings: Holdings, logger: Logger) {
        self.store = store
        self.api = api
        self.peers = peers
        self.holdings = holdings
        self.logger = logger
    }

    /// Layers that are here and stay until ``LayerStore/unpin(_:)``.
    struct Pinned: Sendable {
        /// Absolute directories, in the order asked for.
        var paths: [String]
        /// Received over the network for it.
        var bytes: Int64
    }

    /// Brings what is missing and pins all.
    ///
    /// - Parameter purpose: the assignment or export, as the coordinator knows it.
    func pin(_ layers: [LayerDescriptor], purpose: String) async throws -> Pinned {
        var bytes: Int64 = 0
        for attempt in 1... {
            bytes += try await bring(layers, purpose: purpose)
            do {
                let names = try store.pin(layers.map(\.diffID))
                return Pinned(paths: names.map { "\(store.directory)/\($0)" }, bytes: bytes)
            } catch LayerStoreError.missing where attempt < Self.attempts {
                continue
            }
        }
        preconditionFailure("the loop ends by a return or a throw")
    }

    private func bring(_ layers: [LayerDescriptor], purpose: String) async throws -> Int64 {
        let missing = layers.filter { !store.contains($0.diffID) }
        if missing.isEmpty { return 0 }
        let layers = Dictionary(missing.map { ($0.diffID, $0) }) { first, _ in first }
        let bytes = try await fetches.values(of: missing.map(\.diffID)) { [self, layers] wanted in
            // Located in one request, fetched a few at a time.
            let gate = Slots(Self.concurrency)
            let located = Task {
                try await api.post(LayerLocations.self, "/api/v1/agent/layers/locate", LayerQuery(purpose: purpose, layers: wanted))
            }
            return { digest in
                let location = try await located.value.locations.first { $0.layer == digest }
                guard let layer = layers[digest] else { throw AgentError.layer(digest, reason: "nobody asked for it") }
                return try await gate.run { try await fetch(layer, from: location) }
            }
        }
        return bytes.reduce(0, +)
    }

    /// Of all that this agent receives.
    var meter: TransferMeter { peers.meter }

    /// Receives a layer from a sender, and measures that.
    private func measured(_ layer: LayerDescriptor, from sender: String?, _ body: () async throws -> Int64) async throws -> Int64 {
        guard layer.size >= TransferMeter.leastBytes else { return try await body() }
        var bytes: Int64 = 0
        meter.begin(from: sender)
        defer { meter.end(from: sender, bytes: bytes) }
        bytes = try await body()
        return bytes
    }

    private func fetch(_ layer: LayerDescriptor, from location: LayerLocations.Location?) async throws -> Int64 {
        var pauses = BusyPauses()
        var waitsFor = location?.holders ?? []
        var asksCoordinator = location?.atCoordinator == true
        var reasons: [String] = []
        while true {
            var busy: [Holder] = []
            if let bytes = try await fetch(layer, fromPeers: waitsFor, &busy, &reasons) { return bytes }
            if asksCoordinator, let bytes = try await fetchFromCoordinator(layer, &reasons) { return bytes }
            asksCoordinator = false
            if busy.isEmpty || pauses.isOver {
                reasons += busy.map { "\($0.agent): it is busy" }
                throw AgentError.layer(layer.diffID, reason: reasons.isEmpty ? "nobody has it" : reasons.joined(separator: "; "))
            }
            waitsFor = busy
            try await pauses.wait()
        }
    }

    /// nil where none of them gave it.
    private func fetch(
        _ layer: LayerDescriptor, fromPeers holders: [Holder], _ busy: inout [Holder], _ reasons: inout [String]
    ) async throws -> Int64? {
        for holder in holders {
            do {
                let bytes = try await measured(layer, from: holder.agent) {
                    let pipe = try await peers.fetchLayer(from: holder, diffID: layer.diffID)
                    return try await BodyPipe.read(pipe) { [store] in try store.receive(layer, from: $0) }.bytes
                }
                arrived(layer, from: holder.agent, bytes)
                return bytes
            } catch let error as VolumeError where error.isBusyPeer {
                busy.append(holder)
            } catch {
                try Task.checkCancellation()
                reasons.append("\(holder.agent): \(error)")
            }
        }
        return nil
    }

    private func fetchFromCoordinator(_ layer: LayerDescriptor, _ reasons: inout [String]) async throws -> Int64? {
        do {
            let bytes = try await measured(layer, from: nil) {
                let response = try await api.send("GET", "/api/v1/agent/layers/\(layer.diffID)")
                return try await BodyPipe.read(response.body) { [store] in try store.receive(layer, from: $0) }.bytes
            }
            arrived(layer, from: "coordinator", bytes)
            return bytes
        } catch {
            try Task.checkCancellation()
            reasons.append("coordinator: \(error)")
            return nil
        }
    }

    private func arrived(_ layer: LayerDescriptor, from: String, _ bytes: Int64) {
        holdings.added(layer)
        logger.debug("layer brought", metadata: ["layer": "\(layer.diffID)", "from": "\(from)", "bytes": "\(bytes)"])
    }
}
