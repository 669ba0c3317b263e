import FarmAPI
import Synchronization

/// How fast this agent receives from each sender: bytes, and the time in which at least one transfer from there was under way.
///
/// Several transfers at a time share the way, so each alone would say too little. What arrives slowly on purpose, and what is found here
/// instead of being sent, is not to be measured.
public final class TransferMeter: Sendable {
    private struct Sender {
        var active = 0
        var since = ContinuousClock.now
        /// Since then.
        var bytes: Int64 = 0
        /// Of what has ended.
        var total: Int64 = 0
        var seconds = 0.0
    }

    /// A transfer that is expected to be smaller says more about how long an answer takes.
    public static let leastBytes: Int64 = 1 << 20
    /// Less than that in one go is not counted.
    private static let leastTotal: Int64 = 4 << 20

    // A lock: transfers begin and end on threads that can't await an actor.
    private let senders = Mutex<[String?: Sender]>([:])

    /// Nothing was measured yet.
    public init() {}

    /// A transfer begins; nil for the coordinator.
    public func begin(from sender: String?) {
        senders.withLock { senders in
            var state = senders[sender] ?? Sender()
            if state.active == 0 {
                state.since = .now
                state.bytes = 0
            }
            state.active += 1
            senders[sender] = state
        }
    }

    /// It has ended, with so many bytes; 0 for one that failed.
    public func end(from sender: String?, bytes: Int64) {
        senders.withLock { senders in
            guard var state = senders[sender], state.active > 0 else { return }
            state.active -= 1
            state.bytes = state.bytes.adding(bytes)
            if state.active == 0, state.bytes >= Self.leastTotal {
                state.total = state.total.adding(state.bytes)
                state.seconds += (ContinuousClock.now - state.since) / .seconds(1)
            }
            senders[sender] = state.active == 0 && state.total == 0 ? nil : state
        }
    }

    /// What was measured since this was asked last, the most bytes first; at most ``TransferMeasure/limit``.
    public func take() -> [TransferMeasure] {
        senders.withLock { senders in
            let found = senders.filter { $0.value.total > 0 }.map {
                TransferMeasure(from: $0.key, bytes: $0.value.total, seconds: $0.value.seconds)
            }.sorted { $0.bytes > $1.bytes }.prefix(TransferMeasure.limit)
            for measure in found {
                senders[measure.from]?.total = 0
                senders[measure.from]?.seconds = 0
                if senders[measure.from]?.active == 0 { senders[measure.from] = nil }
            }
            return Array(found)
        }
    }
}

extension Int64 {
    fileprivate func adding(_ other: Int64) -> Int64 {
        let (sum, overflow) = addingReportingOverflow(Swift.max(0, other))
        return overflow ? .max : sum
    }
}
