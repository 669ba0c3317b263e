import Scheduling

/// The times and limits of the engine. Seconds.
public struct EngineSettings: Sendable, Equatable {
    /// How often an agent says that it lives.
    public var heartbeat: Double = 2
    /// Without a word for so long, an agent is lost and its stages go elsewhere: five heartbeats, so that one lost packet moves nothing.
    public var lease: Double = 10
    /// How often leases and timeouts are looked at.
    public var tick: Double = 0.5
    /// So often a stage is given to an agent before the build fails.
    public var maximumAttempts = 3
    /// How long a build waits for file contents, or for the rest of its context, without hearing from its client.
    public var contentsTimeout: Double = 600
    /// How long a stage waits when no agent that is known could run it: agents reconnect within this after a restart.
    public var unschedulableTimeout: Double = 30
    /// The same when there are such agents, but all of them are lost or draining: machines take their time to start.
    public var lostAgentsTimeout: Double = 600
    /// How long a grant is good for: the start of a transfer must fall into it, its end need not.
    public var grantLifetime: Double = 300
    /// Finished builds with their events are kept for so long: 30 days.
    public var buildRetention: Double = 30 * 86_400
    /// What steps printed is kept for so long, if the build is.
    public var logRetention: Double = 30 * 86_400
    /// Bytes of all logs together, 0 for no limit: a disk for a coordinator has a few times that.
    public var logLimit: Int64 = 16 << 30
    /// Records whose layers nobody has are kept for so long: an agent may be away for holidays, and come back with them.
    public var recordRetention: Double = 30 * 86_400
    /// For how long nothing is removed for its age after the wall clock was moved: a day, in which somebody sees the warning or the clock
    /// is put right.
    public var clockDistrust: Double = 86_400
    /// How often old builds and records are removed.
    public var retentionInterval: Double = 3600

    /// How agents are compared and shares are given.
    public var scheduling = SchedulingPolicy()
    /// When agents that fail get no stages for a while.
    var troubles = AgentTroubles.Policy()
    /// When heads of volumes are copied to other agents.
    var copies = VolumeCopies.Policy()
    /// What projects' volumes may take.
    var quotas = VolumeQuotas()

    /// The defaults.
    public init() {}
}
