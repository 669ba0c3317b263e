import Synchronization

/// What agents and clients saw, from many tasks.
final class Observations: Sendable {
    struct Values {
        var submits: [Double] = []
        var laterSubmits: [Double] = []
        var lineDelays: [Double] = []
        var heartbeats: [Double] = []
        var heartbeatsMissed = 0
        var errors = 0
        var samples: [String] = []
    }

    /// More errors are counted, not shown.
    static let sampleLimit = 10

    private let values = Mutex(Values())

    /// What there is until now.
    var current: Values { values.withLock { $0 } }

    func note(_ change: (inout Values) -> Void) { values.withLock { change(&$0) } }

    func fail(_ text: String) {
        note { values in
            values.errors += 1
            if values.samples.count < Self.sampleLimit { values.samples.append(text) }
        }
    }
}

extension Duration {
    /// Seconds with their fraction.
    var inSeconds: Double { Double(components.seconds) + Double(components.attoseconds) / 1e18 }
}
