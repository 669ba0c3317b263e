import FarmAPI

/// Which agents fail often, and until when each gets no stages for it: a value without clock or I/O.
///
/// What counts is what an agent did wrong, not what a step did: a stage that it could not run, one that it lost, its own loss. A stage that
/// other agents can't run either speaks against the stage; one that another agent then ran speaks against the agent.
struct AgentTroubles {
    /// What the operator wants. Seconds.
    struct Policy: Sendable, Equatable {
        /// So many failures set an agent aside; 0: none do.
        var failures = 3
        /// Failures count for so long.
        var window: Double = 600
        /// For so long an agent that was set aside gets nothing; doubles each time that it fails again, up to ``longestPause``.
        var pause: Double = 120
        /// A machine that somebody repaired is found within the hour, and one that nobody did costs one stage an hour.
        var longestPause: Double = 3600
        /// So many stages that it ran take back a failure: who fails at one in five is set aside, who fails rarely is not.
        var stagesForAFailure = 4
    }

    /// An agent that gets no stages.
    struct Aside: Equatable {
        var reason: String
        /// By the monotonic clock.
        var until: Double
        /// How often it was set aside before, without having been well for long.
        var level: Int
        /// The time is over: it gets one stage at a time until it has run one.
        var isOnTrial = false
    }

    private struct Failure {
        var time: Double
        /// The project and stage; nil where the agent failed as a whole.
        var work: String?
        var reason: String
        /// Another agent ran it afterwards.
        var isProven = false
        /// Another agent could not run it either.
        var isRefuted = false
    }

    private struct Record {
        var failures: [Failure] = []
        var ran = 0
        var aside: Aside?
        /// When it was last set aside, and for the how manieth time.
        var last: (time: Double, level: Int)?
    }

    /// More failures of an agent are not looked at: it is set aside long before.
    private static let remembered = 64

    private var records: [String: Record] = [:]

    /// How the agent is set aside, or on trial after that; nil for one that gets stages.
    func aside(_ agent: String) -> Aside? { records[agent]?.aside }

    /// Whether it gets no stages.
    func isSetAside(_ agent: String) -> Bool { records[agent]?.aside.map { !$0.isOnTrial } ?? false }

    /// Something went wrong that the agent is to answer for.
    ///
    /// - Parameters:
    ///   - work: the project and stage; nil where it failed as a whole.
    ///   - mayGo: whether others could do its work.
    /// - Returns: true when it is set aside by this.
    mutating func failed(
        _ agent: String, work: String?, reason: String, now: Double, _ policy: Policy, mayGo: Bool
    ) -> Bool {
        guard policy.failures > 0 else { return false }
        var failure = Failure(time: now, work: work, reason: reason)
        if let work {
            for (name, record) in records where name != agent {
                for index in record.failures.indices
                where record.failures[index].work == work && now - record.failures[index].time <= policy.window {
                    failure.isRefuted = true
                    if !record.failures[index].isProven { records[name]?.failures[index].isRefuted = true }
                }
            }
        }
        var record = records[agent] ?? Record()
        record.failures.removeAll { now - $0.time > policy.window }
        record.failures.append(failure)
        if record.failures.count > Self.remembered { record.failures.removeFirst() }
        record.ran = 0
        let count = Self.count(record.failures)
        let isEnough = record.aside?.isOnTrial == true ? !failure.isRefuted : record.aside == nil && count >= policy.failures
        guard isEnough, mayGo else {
            records[agent] = record
            return false
        }
        let earlier = record.aside?.level ?? record.last.flatMap { now - $0.time <= policy.longestPause ? $0.level : nil }
        let level = earlier.map { $0 + 1 } ?? 0
        let pause = min(policy.longestPause, policy.pause * Double(1 << min(level, 20)))
        let times = record.aside == nil ? "\(count) failures within \(Self.minutes(policy.window))" : "it failed again when it was tried"
        record.aside = Aside(reason: "\(times), the last: \(reason)", until: now + pause, level: level)
        record.last = (now + pause, level)
        record.failures = []
        records[agent] = record
        return true
    }

    /// The agent ran the stage to its end.
    /// - Returns: true when it was on trial, and is not any more.
    mutating func ran(_ agent: String, work: String, now: Double, _ policy: Policy) -> Bool {
        for (name, record) in records where name != agent {
            for index in record.failures.indices
            where record.failures[index].work == work && now - record.failures[index].time <= policy.window {
                records[name]?.failures[index].isProven = true
            }
        }
        guard var record = records[agent] else { return false }
        record.ran += 1
        if record.ran >= policy.stagesForAFailure, !record.failures.isEmpty {
            record.ran = 0
            record.failures.removeFirst()
        }
        let wasOnTrial = record.aside?.isOnTrial == true
        if wasOnTrial { record.aside = nil }
        records[agent] = record.failures.isEmpty && record.aside == nil && record.last == nil ? nil : record
        return wasOnTrial
    }

    /// Agents whose time is over: they are on trial from now on.
    mutating func expire(now: Double) -> [String] {
        let over = records.filter { $0.value.aside.map { !$0.isOnTrial && $0.until <= now } ?? false }.keys.sorted()
        for agent in over { records[agent]?.aside?.isOnTrial = true }
        return over
    }

    /// Tries the agent before its time is over.
    mutating func tryEarly(_ agent: String) { records[agent]?.aside?.isOnTrial = true }

    /// What was counted is forgotten: somebody says that the agent is well, or it is no more.
    mutating func clear(_ agent: String) { records[agent] = nil }

    /// As it was stored.
    mutating func restore(_ agent: String, _ aside: Aside, now: Double) {
        records[agent] = Record(aside: aside, last: (max(now, aside.until), aside.level))
    }

    // A stage that nobody else has tried counts once however often it fails: it may be the stage.
    private static func count(_ failures: [Failure]) -> Int {
        let whole = failures.count { $0.work == nil || $0.isProven }
        return whole + Set(failures.filter { !$0.isProven && !$0.isRefuted }.compactMap(\.work)).count
    }

    private static func minutes(_ seconds: Double) -> String {
        seconds < 120 ? "\(Int(seconds)) s" : "\(Int((seconds / 60).rounded())) min"
    }
}
