import BuildPlan
import Digests
import FarmAPI
import Logging
import Synchronization

/// Tells the coordinator what comes to and goes from this disk. Changes that can't be sent are forgotten: the next hello has everything.
final class Holdings: Sendable {
    /// Changes come in groups: one request for those of so long.
    private static let delay = Duration.milliseconds(20)

    private let change = Mutex(HoldingsChange())
    private let wake: AsyncStream<Void>.Continuation
    private let wakes: AsyncStream<Void>
    private let send: @Sendable (HoldingsChange) async throws -> Void
    private let logger: Logger

    init(logger: Logger, send: @escaping @Sendable (HoldingsChange) async throws -> Void) {
        self.logger = logger
        self.send = send
        (wakes, wake) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    func added(_ layer: LayerDescriptor) {
        change.withLock { change in
            change.removedLayers.removeAll { $0 == layer.diffID }
            change.addedLayers.append(layer)
        }
        wake.yield()
    }

    func removed(_ layers: [Digest]) {
        if layers.isEmpty { return }
        change.withLock { change in
            let gone = Set(layers)
            change.addedLayers.removeAll { gone.contains($0.diffID) }
            change.removedLayers += layers
        }
        wake.yield()
    }

    /// Sends until the task is cancelled.
    func run() async {
        for await _ in wakes {
            try? await Task.sleep(for: Self.delay)
            if Task.isCancelled { return }
            let next = change.withLock { change in
                defer { change = HoldingsChange() }
                return change
            }
            if next.addedLayers.isEmpty && next.removedLayers.isEmpty { continue }
            do { try await send(next) } catch { logger.debug("holdings were not told", metadata: ["error": "\(error)"]) }
        }
    }
}
