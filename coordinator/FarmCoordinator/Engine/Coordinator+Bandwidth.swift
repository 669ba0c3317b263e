import FarmAPI
import Store

// How fast agents receive from each other and from the coordinator, as they measured it.
extension Coordinator {
    /// What changed is stored this often: a restart may forget the last minute of what follows from many.
    static let bandwidthInterval: Double = 60
    /// What was not measured for so long is forgotten: 30 days.
    static let bandwidthRetention: Double = 30 * 86_400

    /// Two machines; from nil for the coordinator.
    struct Way: Hashable {
        var from: String?
        var to: String
    }

    /// Takes what an agent says that it received. What can't be is ignored.
    func takeTransfers(_ transfers: [TransferMeasure], of agent: String) {
        for transfer in transfers.prefix(TransferMeasure.limit) {
            let rate = scheduler.transferred(from: transfer.from, to: agent, bytes: transfer.bytes, seconds: transfer.seconds)
            if let rate { changedBandwidths[Way(from: transfer.from, to: agent)] = rate }
        }
    }

    /// Puts what has changed to the store, now and then. The caller settles.
    func keepBandwidths() {
        let now = clock.monotonic()
        guard now - lastBandwidths >= Self.bandwidthInterval else { return }
        lastBandwidths = now
        for (way, rate) in changedBandwidths {
            outbox.append(.put(StoredBandwidth(from: way.from, to: way.to, rate: rate, measuredAt: clock.now())))
        }
        changedBandwidths = [:]
    }

    /// What was stored, after the agents are known.
    func restore(_ bandwidths: [StoredBandwidth]) {
        for stored in bandwidths { scheduler.remember(from: stored.from, to: stored.to, rate: stored.rate) }
    }

    /// What is known of an agent, for `farm agents --json`.
    func receives(_ agent: String) -> [AgentDescription.Bandwidth]? {
        let known = scheduler.measuredBandwidth(to: agent).map {
            AgentDescription.Bandwidth(from: $0.from, bytesPerSecond: $0.rate.rounded())
        }
        return known.isEmpty ? nil : known.sorted { ($0.from ?? "") < ($1.from ?? "") }
    }
}
