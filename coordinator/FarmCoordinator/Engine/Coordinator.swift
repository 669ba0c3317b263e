import BuildPlan
import Digests
import FarmAPI
import Logging
import Scheduling
import Store

/// The engine of the farm: it holds what is running in memory, decides, and writes everything that it acknowledges to the store first.
///
/// Every change is made in memory and put into `outbox` without an `await` between; ``settle()`` then hands the changes to the store,
/// which writes groups in the order given. What leaves the process (answers, commands, events for readers) waits for ``settle()``. So
/// the disk may be behind the memory, but never behind what anybody was told.
///
/// All methods may be called from any task. Those that change something return when the change is durable.
public actor Coordinator {
    let store: Store
    let contexts: any ContextAccess
    let images: any ImageAccess
    let grants: any GrantSigner
    let frontend: any Frontend
    let settings: EngineSettings
    let clock: any EngineClock
    let logger: Logger
    let bell = Bell()
    /// For those who read along.
    let tails = EventTails()

    /// Open builds by id.
    var builds: [String: BuildRun] = [:]
    /// Builds by user and request: the open ones, and those that ended a short while ago.
    var submissions: [String: String] = [:]
    var agentEntries: [String: AgentEntry] = [:]
    var assignments: [String: AssignmentEntry] = [:]
    /// Agents by layer.
    var layerHolders: [Digest: Set<String>] = [:]
    /// Agents by volume, whatever generation they have.
    var volumeHolders: [VolumeKey: Set<String>] = [:]
    var layersAtCoordinator: Set<Digest> = []
    var ledger = VolumeLedger()
    var locks = VolumeLocks()
    /// Locks whose assignments ended before their agents gave them back, by name. In memory alone.
    var formerLocks: [String: FormerLock] = [:]
    /// Who makes which step, and who waits for it.
    var claims = StepClaims()
    /// Assignments from before a restart whose steps are not in `claims` yet.
    var unclaimed: Set<String> = []
    /// What clients sent, by build: in memory alone.
    var secrets: [String: BuildSecrets] = [:]
    /// Wakes those who wait for a build's secrets.
    let secretBell = Bell()
    /// Wakes those who wait for a lock.
    let lockBell = Bell()
    /// Where stages run: told of every agent, of what each holds, and of every stage that is ready or runs.
    var scheduler: Scheduler
    /// Usual seconds, by project and stage.
    var durations: [DurationKey: StoredDuration] = [:]
    /// The agent that makes an archive, by the export's id.
    var exports: [String: String] = [:]
    /// Tells those who wait for an export that its agent is gone.
    let exportBell = Bell()
    /// Wakes those who want to know what contents a build needs.
    let needsBell = Bell()
    var copies = VolumeCopies()
    var troubles = AgentTroubles()
    /// Measured bandwidths that are not stored yet, bytes a second.
    var changedBandwidths: [Way: Double] = [:]
    var lastBandwidths = -Double.infinity
    var careTotals = CareTotals()
    /// By the order's id.
    var verifications: [String: Verification] = [:]
    /// When each was looked into, monotonic seconds.
    var suspicions: [Suspicion: Double] = [:]
    /// Projects that may be above their quotas.
    var quotaSuspects: Set<String> = []
    /// Why volumes that are no more were removed, until they are there again: in memory alone.
    var removalReasons: [VolumeKey: String] = [:]
    var nextNumber = 0
    var lastRetention: Double
    var isRetaining = false
    var clockWatch = ClockWatch()
    var lastSweep = -Double.infinity

    var outbox: [Change] = []
    var recentRecords = RecentRecords()
    /// Events by build, in order.
    private var rung: [String: [EncodedEvent]] = [:]
    private var commands: [(agent: String, command: AgentCommand)] = []

    /// Why the engine can't go on.
    private var failure: EngineError?

    private let jobs: AsyncStream<Job>
    private let jobInput: AsyncStream<Job>.Continuation

    /// What the engine does on its own account.
    enum Job: Sendable {
        case drive(build: String)
        case closeSession(agent: String, number: Int)
        case forgetVerifications(request: Int)
        case complete(Delivery)
        case retain
    }

    /// Changes on their way to the disk, and what leaves the process when they are there.
    struct Delivery: Sendable {
        fileprivate var commit: Commit
        fileprivate var rung: [String: [EncodedEvent]]
        fileprivate var commands: [(agent: String, command: AgentCommand)]
    }

    /// Of a stage's usual duration.
    struct DurationKey: Hashable {
        var project: String
        var stage: String
    }

    /// Loads the state from the store. Nothing happens until ``run()``.
    public init(
        store: Store, contexts: any ContextAccess, images: any ImageAccess, grants: any GrantSigner,
        frontend: any Frontend = RequestPlanner(), settings: EngineSettings = EngineSettings(),
        clock: any EngineClock = SystemClock(), logger: Logger
    ) async throws {
        self.store = store
        self.contexts = contexts
        self.images = images
        self.grants = grants
        self.frontend = frontend
        self.settings = settings
        self.clock = clock
        self.logger = logger
        lastRetention = -.infinity
        scheduler = Scheduler(policy: settings.scheduling)
        (jobs, jobInput) = AsyncStream.makeStream(of: Job.self)
        layersAtCoordinator = try await images.layersAtCoordinator()
        restore(try await store.load())
    }

    /// Goes on with the builds that the store has, watches leases and timeouts; returns when the task is cancelled.
    /// - Throws: when the store refused a change. Then only a new process, which takes what is on the disk, can go on.
    public func run() async throws {
        await withDiscardingTaskGroup { group in
            group.addTask { [clock, settings] in
                while !Task.isCancelled {
                    await self.tick()
                    try? await clock.sleep(seconds: settings.tick)
                }
            }
            for await job in jobs {
                group.addTask {
                    switch job {
                    case .drive(let build): await self.drive(build)
                    case .closeSession(let agent, let number): await self.closeSession(of: agent, number: number)
                    case .forgetVerifications(let request): await self.forgetVerifications(request: request)
                    case .complete(let delivery): try? await self.complete(delivery)
                    case .retain: await self.retain()
                    }
                }
            }
            group.cancelAll()
        }
        if let failure { throw failure }
    }

    /// Has it done by a task that ``run()`` owns.
    nonisolated func enqueue(_ job: Job) { jobInput.yield(job) }

    /// A number that this process has not used yet.
    func newNumber() -> Int {
        nextNumber += 1
        return nextNumber
    }
}

// What leaves the process.
extension Coordinator {
    /// Returns when all changes so far, by whomever they were made, are durable; then tells those who wait for them.
    ///
    /// - Parameter patiently: false for who rather hears that the disk is full than waits until it is not. The changes stay in memory and are
    ///   stored when there is room: who asks again finds them.
    /// - Throws: when the store refused a change: memory and disk differ then, and ``run()`` ends. ``EngineError/unavailable(_:)`` for who
    ///   is not patient.
    func settle(patiently: Bool = true) async throws {
        // What was refused is in memory: who asks again must not take it for stored.
        if let failure { throw failure }
        let delivery = Delivery(commit: store.write(outbox), rung: rung, commands: commands)
        outbox = []
        rung = [:]
        commands = []
        if patiently { return try await complete(delivery) }
        enqueue(.complete(delivery))
        do {
            try await delivery.commit.durable(patiently: false)
        } catch StoreError.unwritable(let trouble) {
            throw EngineError.unavailable(trouble)
        } catch StoreError.closed {
            throw EngineError.unavailable("\(StoreError.closed)")
        }
    }

    private func complete(_ delivery: Delivery) async throws {
        do {
            try await delivery.commit.durable()
        } catch StoreError.closed {
            // Nobody was told of it: the next process goes on from what is on the disk.
            throw EngineError.unavailable("\(StoreError.closed)")
        } catch {
            logger.critical("the store refused a change: memory and disk differ", metadata: ["error": "\(error)"])
            let failure = EngineError.unavailable("the coordinator could not store this: \(error)")
            self.failure = failure
            jobInput.finish()
            throw failure
        }
        for (build, events) in delivery.rung {
            tails.append(events, to: build)
            bell.ring(build, last: events.last?.event.sequence ?? 0)
            if builds[build] == nil {
                tails.close(build)
                bell.close(build)
            }
        }
        for (agent, command) in delivery.commands { deliver(command, to: agent) }
    }

    /// Gives the command to the agent once what led to it is durable.
    func send(_ command: AgentCommand, to agent: String) { commands.append((agent, command)) }

    private func deliver(_ command: AgentCommand, to agent: String) {
        guard let session = agentEntries[agent]?.session else { return }
        if case .assign(let assignment) = command {
            guard let entry = assignments[assignment.id], !entry.sent, !entry.isCancelling else { return }
            assignments[assignment.id]?.sent = true
            assignments[assignment.id]?.command = nil
        }
        session.commands.yield(command)
    }

    /// An event of a build: stored, then shown to its readers.
    func emit(_ kind: BuildEvent.Kind, _ run: BuildRun, time: Timestamp? = nil) {
        run.sequence += 1
        let event = EncodedEvent(BuildEvent(sequence: run.sequence, time: time ?? clock.now(), kind: kind))
        outbox.append(.append(event, to: run.id))
        rung[run.id, default: []].append(event)
    }

    /// Stores a stage's row.
    func save(_ stage: Int, of run: BuildRun) { outbox.append(.put(run.stages[stage].row)) }

    /// Stores a step's row.
    func save(step: Int, stage: Int, of run: BuildRun) { outbox.append(.put(run.stages[stage].steps[step])) }
}
