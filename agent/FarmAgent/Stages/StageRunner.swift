import Digests
import FarmAPI
import Logging

/// The assignments that run here.
actor StageRunner {
    private struct Running {
        var task: Task<Void, Never>
        var build: String
    }

    private let services: StageServices
    private var running: [String: Running] = [:]
    /// Ended lately: an assignment that is sent again after a lost connection is not run again.
    private var ended: [String] = []
    private var isStopping = false

    private static let endedLimit = 1000
    static let stoppingReason = StageOutcome.stoppingReason

    init(services: StageServices) { self.services = services }

    /// The assignments that run, and those of which the coordinator has not heard everything.
    var assignments: [String] { services.outbox.assignments.union(running.keys).sorted() }

    /// Whether no stage runs here.
    var isIdle: Bool { running.isEmpty }

    /// Begins an assignment, unless it is known.
    func start(_ assignment: StageAssignment) {
        let id = assignment.id
        guard running[id] == nil, !ended.contains(id) else { return }
        guard !isStopping else {
            services.outbox.post(.stageFinished(.unable(reason: Self.stoppingReason)), assignment: id)
            return
        }
        services.logger.info(
            "stage begins", metadata: ["assignment": "\(id)", "stage": "\(assignment.stageName)", "attempt": "\(assignment.attempt)"])
        let run = StageRun(assignment: assignment, services: services)
        let task = Task {
            let result: Result<Void, any Error>
            do { result = .success(try await run.run()) } catch { result = .failure(error) }
            end(assignment, result, wasCancelled: Task.isCancelled)
        }
        running[id] = Running(task: task, build: assignment.build)
    }

    private func end(_ assignment: StageAssignment, _ result: Result<Void, any Error>, wasCancelled: Bool) {
        let outcome = outcome(of: assignment, result, wasCancelled: wasCancelled)
        running[assignment.id] = nil
        ended.append(assignment.id)
        if ended.count > Self.endedLimit { ended.removeFirst() }
        services.outbox.post(.stageFinished(outcome), assignment: assignment.id)
        services.logger.info("stage ended", metadata: ["assignment": "\(assignment.id)", "outcome": "\(outcome.summary)"])
    }

    private func outcome(of assignment: StageAssignment, _ result: Result<Void, any Error>, wasCancelled: Bool) -> StageOutcome {
        switch result {
        case .success: return .succeeded
        case .failure(is StageRun.MadeElsewhere) where !wasCancelled: return .yielded
        case .failure where wasCancelled: return isStopping ? .unable(reason: Self.stoppingReason) : .cancelled
        case .failure(let failure as StepFailureAt):
            return .failed(BuildFailure(message: failure.failure.message, lines: failure.lines, exitCode: failure.failure.exitCode))
        case .failure(let failure as StepFailure): return .failed(BuildFailure(message: failure.message, exitCode: failure.exitCode))
        case .failure(let error): return .unable(reason: "\(error)")
        }
    }

    /// Ends the assignment's processes; it is then reported as cancelled.
    func cancel(_ id: String) {
        if let running = running[id] {
            running.task.cancel()
        } else {
            // The coordinator waits for the end of something that is not here.
            services.outbox.post(.stageFinished(.cancelled), assignment: id)
        }
    }

    /// Takes nothing more and hands back what runs. Returns when all has ended.
    func stop() async {
        isStopping = true
        let tasks = running.values.map(\.task)
        for task in tasks { task.cancel() }
        for task in tasks { await task.value }
    }
}

extension StageOutcome {
    /// For the log.
    var summary: String {
        switch self {
        case .succeeded: "succeeded"
        case .failed(let failure): "failed: \(failure.message)"
        case .cancelled: "cancelled"
        case .yielded: "another makes its next step"
        case .unable(let reason): "unable: \(reason)"
        }
    }
}
