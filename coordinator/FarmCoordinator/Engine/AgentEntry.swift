import BuildPlan
import Digests
import FarmAPI
import Scheduling
import Store

/// An agent as the engine knows it.
struct AgentEntry {
    /// An open stream of commands.
    struct Session {
        var number: Int
        var commands: AsyncStream<AgentCommand>.Continuation
    }

    var stored: StoredAgent
    /// What runs there: by its labels, when the session was opened. Asked for all agents at each submission.
    var platform: Platform?
    var session: Session?
    /// By the monotonic clock.
    var lastHeard: Double
    var layers: Set<Digest> = []
    var volumes: [VolumeKey: Int] = [:]
    /// On its disk, as its last heartbeat said.
    var freeBytes: Int64?
    /// It has had to remove volumes, and gets no copies until then, by the monotonic clock.
    var tightUntil = -Double.infinity
    /// It was said that it is lost.
    var isLost = false

    init(stored: StoredAgent, session: Session?, lastHeard: Double) {
        self.stored = stored
        platform = Self.platform(of: stored.labels)
        self.session = session
        self.lastHeard = lastHeard
    }

    var name: String { stored.name }

    /// What the labels of an agent say that runs there.
    static func platform(of labels: [String: String]) -> Platform? {
        guard let os = labels["os"], let architecture = labels["arch"] else { return nil }
        return Platform("\(os)/\(architecture)")
    }
}

/// A stage that an agent has.
struct AssignmentEntry {
    var stored: StoredAssignment
    /// When the agent last said that it runs it, by the monotonic clock: the lease counts from then.
    var confirmed: Double
    var startedAt: Double
    /// Seconds of that in which its steps waited for inputs and locks.
    var waited = 0.0
    /// The agent's command was handed to its session.
    var sent: Bool
    /// The command, until the agent has it.
    var command: StageAssignment?
    /// Its build has ended: the agent was told to stop. It keeps its locks until it has.
    var isCancelling = false
    /// The last output of the step that it makes, for builds that come to share it.
    var output = ""
    /// Volumes that a step of it may be bringing to its agent before it asks for their locks.
    var brings: Set<VolumeKey> = []
    /// Since when a step of it waits for a lock, where one does.
    var waitsSince: Double?
}
