import BuildPlan
import Digests
import FarmAPI
import FarmAgent
import Logging
import Synchronization
import Transport

/// An agent that runs nothing: it takes assignments and reports steps, layers and output as if it did. Its session, heartbeats and outbox are
/// the agent's own.
final class LightAgent: Sendable {
    /// As `slots` of a small machine.
    static let slots = 4

    private let number: Int
    private let load: Load
    private let api: APIClient
    private let outbox: Outbox
    private let heartbeats: Heartbeats
    private let observations: Observations
    private let logger: Logger
    private let running: Running

    /// Assignments and their tasks.
    private final class Running: Sendable {
        let tasks = Mutex<[String: Task<Void, Never>]>([:])
        var ids: [String] { tasks.withLock { Array($0.keys) } }
    }

    static func name(_ number: Int) -> String { "load-\(number)" }

    init(number: Int, identity: TLSIdentity, port: Int, load: Load, observations: Observations) {
        self.number = number
        self.load = load
        self.observations = observations
        let api = APIClient(http: HTTPClient(configuration: ClientConfiguration(host: "localhost", port: port, identity: identity)))
        self.api = api
        let logger = Logger(label: "agent") { _ in SwiftLogNoOpLogHandler() }
        self.logger = logger
        let epoch = String(UInt64.random(in: 0 ... .max), radix: 36)
        let running = Running()
        self.running = running
        outbox = Outbox(epoch: epoch, logger: logger) { reports in
            do { try await api.post("/api/v1/agent/reports", reports) } catch {
                if !Task.isCancelled { observations.fail("agent \(number): reports: \(error)") }
                throw error
            }
        }
        let interval = Mutex(0.0)
        heartbeats = Heartbeats(logger: logger) {
            // The first beats of a thousand agents that joined at once would stay together otherwise.
            if interval.withLock({ $0 == 0 }) {
                interval.withLock { $0 = Self.heartbeatInterval }
                try await Task.sleep(for: .seconds(Double.random(in: 0..<Self.heartbeatInterval)))
            }
            let start = ContinuousClock.now
            var failure: (any Error)?
            do {
                try await api.post(
                    "/api/v1/agent/heartbeat", Heartbeat(epoch: epoch, running: running.ids, freeBytes: 1 << 40),
                    deadline: .seconds(Self.heartbeatInterval))
            } catch { failure = error }
            if Task.isCancelled { return }
            let time = (ContinuousClock.now - start).inSeconds
            observations.note { values in
                values.heartbeats.append(time)
                if failure != nil { values.heartbeatsMissed += 1 }
            }
        }
    }

    /// The coordinator's default; a heartbeat that takes longer counts as missed.
    private static let heartbeatInterval = 2.0

    /// Works until the task is cancelled. `joined` is called at each welcome.
    func run(joined: @escaping @Sendable () -> Void) async {
        let hello = AgentHello(
            epoch: outbox.epoch, labels: ["os": "linux", "arch": "amd64"], slots: Self.slots, address: "127.0.0.1:1", runtime: "none",
            version: farmVersion, assignments: [], layers: heldLayers(), volumes: [])
        let session = CoordinatorSession(api: api, logger: logger) { [running] in
            var now = hello
            now.assignments = running.ids
            return now
        } handle: { [self] command in
            switch command {
            case .welcome(_, let interval):
                await heartbeats.start(every: interval)
                joined()
            case .assign(let assignment): start(assignment)
            case .cancel(let id): running.tasks.withLock { $0[id] }?.cancel()
            default: break
            }
        }
        await withDiscardingTaskGroup { group in
            group.addTask { await session.run() }
            group.addTask { [outbox] in await outbox.run() }
        }
        await heartbeats.stop()
        for task in running.tasks.withLock({ Array($0.values) }) { task.cancel() }
        await api.http.close()
    }

    /// From a pool of fifty times as many: some layers are on several agents.
    private func heldLayers() -> [LayerDescriptor] {
        var held: Set<Int> = []
        while held.count < load.layers { held.insert(Int.random(in: 0..<load.layers * 50)) }
        return held.map { LayerDescriptor(diffID: Digest.of("layer \($0)"), size: 10 << 20) }
    }

    private func start(_ assignment: StageAssignment) {
        running.tasks.withLock { tasks in
            guard tasks[assignment.id] == nil else { return }
            tasks[assignment.id] = Task {
                await execute(assignment)
                running.tasks.withLock { _ = $0.removeValue(forKey: assignment.id) }
            }
        }
    }

    private func execute(_ assignment: StageAssignment) async {
        var below = assignment.base
        for index in assignment.steps.indices.dropFirst(assignment.firstStep) {
            let step = assignment.steps[index]
            let key = step.key(parent: Chain.id(of: below), platform: assignment.platform, inputs: [])
            do {
                let answer = try await api.post(
                    RecordAnswer.self, "/api/v1/agent/records", RecordQuery(assignment: assignment.id, key: key))
                if answer.layer != nil { observations.fail("agent \(number): a record for a step that is new") }
            } catch {
                if Task.isCancelled { return }
                observations.fail("agent \(number): asking for a record: \(error)")
            }
            outbox.post(.stepStarted(step: index), assignment: assignment.id)
            await printLines(of: index, assignment)
            if Task.isCancelled {
                outbox.post(.stageFinished(.cancelled), assignment: assignment.id)
                return
            }
            let layer = LayerDescriptor(diffID: Digest.of("\(assignment.id) \(index)"), size: 1 << 20)
            var outcome = StepOutcome(status: .succeeded, cached: false)
            outcome.key = key
            outcome.layer = layer
            outcome.created = .now
            outcome.exitCode = 0
            outbox.post(.stepFinished(step: index, outcome), assignment: assignment.id)
            below.append(layer)
        }
        outbox.post(.stageFinished(.succeeded), assignment: assignment.id)
    }

    /// As many as the load says, at times that are spread evenly with some jitter; those of long steps only.
    private func printLines(of step: Int, _ assignment: StageAssignment) async {
        let isProbe = assignment.project == LightBuild.probeProject
        let seconds = isProbe ? LightBuild.probeSeconds : load.seconds
        let count = isProbe ? 0 : Int(load.linesPerSecond * seconds)
        let start = ContinuousClock.now
        for number in 0..<count {
            let time = (Double(number) + Double.random(in: 0..<1)) / load.linesPerSecond
            try? await Task.sleep(until: start + .seconds(time), tolerance: .zero)
            if Task.isCancelled { return }
            outbox.post(.log(step: step, text: LogLine(number: number).text), assignment: assignment.id)
        }
        try? await Task.sleep(until: start + .seconds(seconds))
    }
}
