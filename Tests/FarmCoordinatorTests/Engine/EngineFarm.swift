import BuildPlan
import Digests
import FarmAPI
import FoundationEssentials
import Logging
import Store

@testable import FarmCoordinator

/// An engine with a real store in a file of its own.
final class EngineFarm {
    let path: String
    let contexts = FakeContexts()
    let clock = HeldClock()
    var settings = EngineSettings()
    private(set) var engine: Coordinator
    private(set) var store: Store
    private var task: Task<Void, any Error>

    init(settings: EngineSettings = EngineSettings()) async throws {
        path = "/tmp/farm-engine-\(UUID().uuidString).sqlite"
        self.settings = settings
        (engine, store, task) = try await Self.start(path, contexts, clock, settings)
    }

    private static func start(
        _ path: String, _ contexts: FakeContexts, _ clock: HeldClock, _ settings: EngineSettings
    ) async throws -> (Coordinator, Store, Task<Void, any Error>) {
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        let store = try Store(path: path, logger: logger)
        let engine = try await Coordinator(
            store: store, contexts: contexts, images: FakeImages(), grants: FakeGrants(), frontend: JSONFrontend(), settings: settings,
            clock: clock, logger: logger)
        return (engine, store, Task { try await engine.run() })
    }

    /// As after SIGKILL: what was in memory only is gone.
    func restart() async throws {
        task.cancel()
        _ = await task.result
        // Nothing more of the old process reaches the file.
        try await store.close()
        (engine, store, task) = try await Self.start(path, contexts, clock, settings)
    }

    /// As after `farm-coordinator restore` of a copy that ``StoreCopy`` made.
    func restore(_ copy: String) async throws {
        task.cancel()
        _ = await task.result
        try await store.close()
        for suffix in ["", "-wal", "-shm"] { try? FileManager.default.removeItem(atPath: path + suffix) }
        try FileManager.default.moveItem(atPath: copy, toPath: path)
        (engine, store, task) = try await Self.start(path, contexts, clock, settings)
    }

    func end() async {
        task.cancel()
        _ = await task.result
        try? await store.close()
        for suffix in ["", "-wal", "-shm"] { try? FileManager.default.removeItem(atPath: path + suffix) }
    }

    /// A publication of an agent whose step had the volume, shared with others.
    func publish(_ volume: PublishVolume, from agent: String) async throws -> PublishAnswer {
        await engine.noteFormerUser(agent, of: volume.key)
        return try await engine.publish(volume, from: agent)
    }

    /// Moves the clock in steps, so that those agents that live are heard of in between.
    func advance(_ seconds: Double, alive: [FakeAgent]) async throws {
        var rest = seconds
        while rest > 0 {
            clock.advance(min(1, rest))
            rest -= 1
            for agent in alive { try await agent.beat() }
            await engine.tick()
            // The engine's own tasks need real time, for the store: held time must not run away from them.
            _ = try await store.status(of: "nothing")
        }
    }

    func submit(
        _ plan: Plan, options: BuildOptions = BuildOptions(), root: String = "root", project: String = "p"
    ) async throws -> String {
        var request = try Make.request(plan, options: options)
        request.project = project
        request.contextRoot = Digest.of(root)
        return try await engine.submit(request, user: "u").build
    }

    /// All events up to the end.
    func finish(_ build: String) async throws -> [BuildEvent] {
        var events: [BuildEvent] = []
        for try await event in try await engine.events(of: build, after: 0) { events.append(event) }
        return events
    }

    func build(_ plan: Plan, options: BuildOptions = BuildOptions(), root: String = "root") async throws -> BuildDescription {
        let id = try await submit(plan, options: options, root: root)
        _ = try await finish(id)
        return try await engine.describe(id)
    }
}

/// An agent that plays its stages as a script says.
actor FakeAgent {
    /// What a step does.
    enum Play: Sendable {
        case succeed
        case fail
        case unable
        /// It runs until the test lets it go on by ``FakeAgent/letGo()``.
        case hang
        /// The same, and then it fails.
        case hangAndFail
        /// It makes a layer without anything in it.
        case empty
    }

    nonisolated let name: String
    private var farm: Coordinator
    private let contexts: FakeContexts
    private var epoch = UUID().uuidString
    private var number = 0
    private var running: Set<String> = []
    private var layers: [LayerDescriptor] = []
    private var sent: [AgentReport] = []
    private var script: [String: Play] = [:]
    private var isHanging = true
    private var tasks: [Task<Void, any Error>] = []
    private(set) var ran: [String] = []
    private(set) var received: [StageAssignment] = []
    private(set) var commands: [AgentCommand] = []
    private(set) var cancelled: Set<String> = []
    /// Reports that the coordinator has acknowledged, and attempts that it has not.
    private(set) var answered = 0
    private(set) var refused = 0

    init(_ name: String, _ farm: Coordinator, _ contexts: FakeContexts) {
        self.name = name
        self.farm = farm
        self.contexts = contexts
    }

    func play(_ step: String, _ play: Play) { script[step] = play }
    func letGo() { isHanging = false }
    func lastLayer() -> Digest { layers.last?.diffID ?? Digest.of("none") }

    /// The coordinator's process is another one now.
    func move(to other: Coordinator) { farm = other }

    /// All reports of this epoch once more, as after a lost answer.
    func repeatReports(to other: Coordinator) async throws { try await other.report(sent, from: name) }

    func join(
        slots: Int = 2, labels: [String: String] = [:], hostPaths: [String] = [], resources: AgentResources = AgentResources(),
        volumes: [HeldVolume] = []
    ) async throws {
        let hello = AgentHello(
            epoch: epoch, labels: ["os": "linux", "arch": "amd64"].merging(labels) { $1 }, slots: slots, address: "\(name):1",
            runtime: "crun",
            version: "1", assignments: Array(running), layers: layers, volumes: volumes, hostPaths: hostPaths, resources: resources)
        let session = try await farm.openSession(of: name, hello)
        tasks.append(
            Task {
                for await command in session { self.take(command) }
            })
    }

    func beat(_ transfers: [TransferMeasure]? = nil) async throws {
        try await farm.heartbeat(Heartbeat(epoch: epoch, running: Array(running), freeBytes: 1 << 40, transfers: transfers), from: name)
    }

    /// The process is gone, and its sessions with it.
    func die() {
        for task in tasks { task.cancel() }
        tasks = []
        running = []
        epoch = UUID().uuidString
        number = 0
    }

    /// All layers that it made, in order.
    var made: [Digest] { layers.map(\.diffID) }

    /// It goes on, and knows nothing of what it was told to run.
    func lose() {
        for task in tasks { task.cancel() }
        tasks = []
        running = []
    }

    private func take(_ command: AgentCommand) {
        commands.append(command)
        switch command {
        case .assign(let assignment):
            received.append(assignment)
            running.insert(assignment.id)
            tasks.append(Task { try await self.perform(assignment) })
        case .cancel(let id): cancelled.insert(id)
        default: break
        }
    }

    func report(_ assignment: String, _ kind: AgentReport.Kind) async throws {
        number += 1
        let report = AgentReport(
            number: number, epoch: epoch, assignment: assignment, time: Timestamp(seconds: Int64(5000 + number)), kind: kind)
        sent.append(report)
        while true {
            do {
                try await farm.report([report], from: name)
                answered += 1
                break
            } catch {
                refused += 1
                try await Task.sleep(for: .milliseconds(2))
            }
        }
        // A second arrival must do nothing.
        try? await farm.report([report], from: name)
    }

    private func perform(_ assignment: StageAssignment) async throws {
        var below = assignment.base
        for (index, step) in assignment.steps.enumerated().dropFirst(assignment.firstStep) {
            var inputs: [Digest] = []
            for input in step.operation.inputs {
                if input.source == .context {
                    inputs.append(try await contexts.contentDigest(root: Digest.of("root"), selection: input))
                } else {
                    let chain = input.place(in: assignment.sources.first { $0.source == input.source }?.layers ?? [])
                    let digest = Digest.of("\(chain) \(input.path)")
                    inputs.append(digest)
                    try await report(
                        assignment.id,
                        .selection(chain: chain, SelectionDigest(path: input.path, wildcards: input.wildcards, digest: digest)))
                }
            }
            let key = step.key(parent: Chain.id(of: below), platform: assignment.platform, inputs: inputs)
            if !assignment.noCache {
                // Without an answer the step is run, as by a real agent.
                let answer = try? await farm.record(RecordQuery(assignment: assignment.id, key: key), from: name)
                if answer?.isMade ?? false { return try await end(assignment, .yielded) }
                if let answer, let layer = answer.layer {
                    var outcome = StepOutcome(status: .succeeded, cached: true)
                    outcome.key = key
                    outcome.layer = layer
                    outcome.created = answer.created
                    outcome.files = answer.files
                    try await report(assignment.id, .stepFinished(step: index, outcome))
                    below.append(layer)
                    continue
                }
            }
            try await report(assignment.id, .stepStarted(step: index))
            try await report(assignment.id, .log(step: index, text: "\(step.name) here\n"))
            let play = script[step.name] ?? .succeed
            if play == .hang || play == .hangAndFail {
                while isHanging, !cancelled.contains(assignment.id) { try await Task.sleep(for: .milliseconds(2)) }
            }
            // It was lost before it came here: nobody runs it.
            try Task.checkCancellation()
            if cancelled.contains(assignment.id) { return try await end(assignment, .cancelled) }
            ran.append(step.name)
            switch play {
            case .fail, .hangAndFail:
                var outcome = StepOutcome(status: .failed, cached: false)
                outcome.exitCode = 7
                try await report(assignment.id, .stepFinished(step: index, outcome))
                return try await end(
                    assignment, .failed(BuildFailure(message: "\(step.name) exited with 7", lines: step.lines, exitCode: 7)))
            case .unable: return try await end(assignment, .unable(reason: "its disk is full"))
            case .succeed, .hang, .empty: break
            }
            var outcome = StepOutcome(status: .succeeded, cached: false)
            outcome.key = key
            let layer = LayerDescriptor(diffID: play == .empty ? Coordinator.emptyLayer : Digest.of("layer of \(key)"), size: 100)
            outcome.files = step.operation.gitMappings == nil ? nil : assignment.contextRoot
            outcome.layer = layer
            outcome.created = Timestamp(seconds: Int64(5000 + number))
            layers.append(layer)
            below.append(layer)
            try await report(assignment.id, .stepFinished(step: index, outcome))
        }
        try await end(assignment, .succeeded)
    }

    private func end(_ assignment: StageAssignment, _ outcome: StageOutcome) async throws {
        running.remove(assignment.id)
        try await report(assignment.id, .stageFinished(outcome))
    }
}

extension Coordinator {
    fileprivate func noteFormerUser(_ agent: String, of key: VolumeKey) {
        formerLocks["\(agent) \(Grant.object(of: key))"] = FormerLock(agent: agent, shared: [key])
    }
}
