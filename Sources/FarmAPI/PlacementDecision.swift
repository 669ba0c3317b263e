import BuildPlan

/// Why a stage is where it is, or why it waits: `decision` of a stage in `farm show --json`.
///
/// Times are seconds, as they were estimated when the decision was made; bytes are what would have come over the network.
public struct PlacementDecision: Codable, Sendable, Hashable {
    /// What was decided.
    public enum Outcome: String, Codable, Sendable, Hashable {
        /// The agent has it.
        case placed
        /// It waits for the agent, which is busy: that is quicker than any other.
        case waiting
        /// No agent can take it as the farm is.
        case unplaceable
    }

    /// One agent that was compared.
    public struct Candidate: Codable, Sendable, Hashable {
        public var agent: String
        /// Until a slot is free there.
        public var queue: Double
        /// To bring what it lacks.
        public var transfer: Double
        /// To run, with what else runs there.
        public var run: Double
        /// What else counts: more for a label that was preferred and is not there, less where a copy serves later stages too.
        public var adjustment: Double
        /// Of the four. The least was taken.
        public var sum: Double
        /// What it lacks.
        public var bytes: ReceivedBytes

        /// A candidate; the sum is made.
        public init(agent: String, queue: Double, transfer: Double, run: Double, adjustment: Double, bytes: ReceivedBytes) {
            self.agent = agent
            self.queue = Self.rounded(queue)
            self.transfer = Self.rounded(transfer)
            self.run = Self.rounded(run)
            self.adjustment = Self.rounded(adjustment)
            sum = Self.rounded(queue + transfer + run + adjustment)
            self.bytes = bytes
        }

        /// Milliseconds are more than an estimate is good for; JSON has no infinity.
        static func rounded(_ value: Double) -> Double {
            guard value.isFinite else { return value < 0 ? -limit : limit }
            return (min(max(value, -limit), limit) * 1000).rounded() / 1000
        }

        private static let limit = 1e9
    }

    /// An agent that can't take the stage.
    public struct Objection: Codable, Sendable, Hashable {
        public var agent: String
        public var reason: String

        /// An agent and what keeps it from the stage.
        public init(agent: String, reason: String) {
            self.agent = agent
            self.reason = reason
        }
    }

    /// How long the project's stage of this name usually runs.
    public struct Usual: Codable, Sendable, Hashable {
        public var runs: Int
        public var mean: Double
        /// One standard deviation.
        public var deviation: Double

        /// What is known of earlier runs.
        public init(runs: Int, mean: Double, deviation: Double) {
            self.runs = runs
            self.mean = Candidate.rounded(mean)
            self.deviation = Candidate.rounded(deviation)
        }
    }

    public var outcome: Outcome
    /// When this was decided.
    public var time: Timestamp
    /// Where it went, or for whom it waits.
    public var agent: String?
    /// Why no agent can take it.
    public var reason: String?
    /// The best, at most ``listed``, the best first.
    public var candidates: [Candidate]
    /// How many were compared.
    public var compared: Int
    /// Agents that can't take it, at most ``listed``: told where none can.
    public var objections: [Objection]
    /// nil where the stage never ran.
    public var usual: Usual?

    /// So many of a list are kept: a row has some 1.5 KB then.
    public static let listed = 8

    /// A decision; lists are cut.
    public init(
        outcome: Outcome, time: Timestamp, agent: String? = nil, reason: String? = nil, candidates: [Candidate] = [], compared: Int = 0,
        objections: [Objection] = [], usual: Usual? = nil
    ) {
        self.outcome = outcome
        self.time = time
        self.agent = agent
        self.reason = reason
        self.candidates = Array(candidates.prefix(Self.listed))
        self.compared = compared
        self.objections = Array(objections.prefix(Self.listed))
        self.usual = usual
    }
}
