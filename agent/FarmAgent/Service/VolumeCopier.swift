import FarmAPI
import Logging
import Volumes

/// Obeys the coordinator's orders to hold copies of volumes, when this agent has nothing better to do.
struct VolumeCopier: Sendable {
    /// An agent that is never idle copies after so long: well within the time for which the order's grants are good.
    static let patience = Duration.seconds(60)
    private static let pause = Duration.milliseconds(250)

    let volumes: VolumeService
    let api: APIClient
    /// 0 for no limit.
    let bytesPerSecond: Int64
    /// Whether stages run here.
    let isBusy: @Sendable () async -> Bool
    let logger: Logger

    /// Returns when the coordinator knows what became of it.
    func obey(_ order: CopyOrder) async {
        let start = ContinuousClock.now
        while await isBusy(), ContinuousClock.now - start < Self.patience { try? await Task.sleep(for: Self.pause) }
        let outcome = await volumes.copy(order, bytesPerSecond: bytesPerSecond)
        if outcome.received > 0 {
            logger.info(
                "volume copied",
                metadata: [
                    "project": "\(order.key.project)", "volume": "\(order.key.id)", "generation": "\(outcome.generation)",
                    "bytes": "\(outcome.received)",
                ])
        }
        do {
            try await RetryPolicy.standard.run { [api, volumes] in
                // Steps may have published meanwhile.
                try await volumes.tell(order.key) { generation in
                    var now = outcome
                    now.generation = generation
                    try await api.post("/api/v1/agent/volumes/copied", now)
                }
            }
        } catch {
            // The hello of the next session tells what is here, and ends the order; else the coordinator takes it for failed in time.
            logger.debug("a copy was not told", metadata: ["volume": "\(order.key.id)", "error": "\(error)"])
        }
    }
}
