import BuildPlan
import Daemon
import FarmAPI
import Logging
import Synchronization

/// What the agent has to report: numbered, in order, sent until the coordinator has stored it.
///
/// Anyone may ``post(_:assignment:)`` from any thread; it never waits. Output of steps is put together into larger texts while it waits.
public final class Outbox: Sendable {
    /// Output goes out at most so often, so that a chatty step does not cost a request a line; what comes after a pause goes at once.
    static let logDelay = Duration.milliseconds(50)
    /// Of one report.
    static let logLimit = 64 << 10
    /// Of one request.
    static let batchLimit = 1 << 20
    static let batchCount = 500
    /// Output that waits for a coordinator that is away; what is more is dropped and said so.
    static let waitingLimit = 64 << 20
    /// What a report of output takes beside its text: lines of two steps in turn are a report each.
    static let reportCost = 256

    private struct State {
        var waiting: [AgentReport] = []
        /// How many of the first have been sent once: the coordinator may have stored them though its answer was lost, and skips their
        /// numbers when they come again. What was added to them then would never be read.
        var sealed = 0
        var nextNumber = 1
        var logBytes = 0
        var dropped: Set<String> = []
        /// Something beside output waits.
        var urgent = false
    }

    /// Of this process: a number counts within it.
    public let epoch: String
    // A lock: output comes from threads that can't await an actor, and its order counts.
    private let state = Mutex(State())
    private let wake: AsyncStream<Void>.Continuation
    private let wakes: AsyncStream<Void>
    private let send: @Sendable ([AgentReport]) async throws -> Void
    private let logger: Logger

    /// - Parameter send: returns when the reports are stored.
    public init(epoch: String, logger: Logger, send: @escaping @Sendable ([AgentReport]) async throws -> Void) {
        self.epoch = epoch
        self.logger = logger
        self.send = send
        (wakes, wake) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// Takes a report.
    public func post(_ kind: AgentReport.Kind, assignment: String) {
        state.withLock { state in
            if case .log(let step, let text) = kind {
                guard let kind = Self.admit(text, step, assignment, &state) else { return }
                append(kind, assignment, &state)
            } else {
                state.urgent = true
                append(kind, assignment, &state)
            }
        }
        wake.yield()
    }

    private func append(_ kind: AgentReport.Kind, _ assignment: String, _ state: inout State) {
        state.waiting.append(
            AgentReport(number: state.nextNumber, epoch: epoch, assignment: assignment, time: .now, kind: kind))
        state.nextNumber += 1
    }

    /// What of output becomes a report of its own; nil where it was added to the last one or dropped.
    private static func admit(_ text: String, _ step: Int, _ assignment: String, _ state: inout State) -> AgentReport.Kind? {
        guard state.logBytes + text.utf8.count <= waitingLimit else {
            guard state.dropped.insert(assignment).inserted else { return nil }
            let note = "\n[output is missing here: the coordinator was out of reach for too long]\n"
            state.logBytes += cost(of: note)
            return .log(step: step, text: note)
        }
        if let last = state.waiting.indices.last, last >= state.sealed, state.waiting[last].assignment == assignment,
            case .log(step, let before) = state.waiting[last].kind, before.utf8.count + text.utf8.count <= logLimit
        {
            state.waiting[last].kind = .log(step: step, text: before + text)
            state.logBytes += text.utf8.count
            return nil
        }
        state.logBytes += cost(of: text)
        return .log(step: step, text: text)
    }

    private static func cost(of text: String) -> Int { text.utf8.count + reportCost }

    /// The assignments of which reports wait.
    var assignments: Set<String> { state.withLock { Set($0.waiting.map(\.assignment)) } }

    var isEmpty: Bool { count == 0 }

    /// Reports that wait.
    var count: Int { state.withLock { $0.waiting.count } }

    /// Sends until the task is cancelled.
    public func run() async {
        var backoff = Backoff()
        var lastSent = ContinuousClock.now - Self.logDelay
        for await _ in wakes {
            while !Task.isCancelled, !isEmpty {
                await waitForMore(until: lastSent + Self.logDelay)
                lastSent = .now
                let batch = nextBatch()
                do {
                    try await send(batch)
                    acknowledge(batch.count)
                    backoff.reset()
                } catch let error as RequestFailed where error.isFinal {
                    // Sent again it would be refused again, and hold up what comes after.
                    logger.error("the coordinator refused reports", metadata: ["error": "\(error)", "reports": "\(batch.count)"])
                    acknowledge(batch.count)
                } catch {
                    if Task.isCancelled { return }
                    logger.debug("reports wait", metadata: ["error": "\(error)"])
                    try? await Task.sleep(for: backoff.next())
                }
            }
            if Task.isCancelled { return }
        }
    }

    /// Gives output a little time to become more, but keeps nothing else waiting.
    private func waitForMore(until end: ContinuousClock.Instant) async {
        while !state.withLock({ $0.urgent }), ContinuousClock.now < end { try? await Task.sleep(for: Self.logDelay / 10) }
    }

    /// Waits until everything is stored, or for a time.
    public func drain(within time: Duration) async {
        let end = ContinuousClock.now + time
        while !isEmpty, ContinuousClock.now < end { try? await Task.sleep(for: .milliseconds(10)) }
    }

    private func nextBatch() -> [AgentReport] {
        state.withLock { state in
            var bytes = 0
            let batch = state.waiting.prefix { report in
                defer { if case .log(_, let text) = report.kind { bytes += text.utf8.count } }
                return bytes < Self.batchLimit
            }.prefix(Self.batchCount)
            state.sealed = max(state.sealed, batch.count)
            state.urgent = state.waiting.count > batch.count
            return Array(batch)
        }
    }

    private func acknowledge(_ count: Int) {
        state.withLock { state in
            for report in state.waiting.prefix(count) { if case .log(_, let text) = report.kind { state.logBytes -= Self.cost(of: text) } }
            state.waiting.removeFirst(count)
            state.sealed -= min(count, state.sealed)
            if state.logBytes <= 0 {
                state.logBytes = 0
                state.dropped = []
            }
        }
    }
}

extension RequestFailed {
    /// True where the same request would be refused again. Not 404 and 409: a coordinator that was restarted may not know this agent yet.
    var isFinal: Bool { [400, 413, 422].contains(status) }
}

/// Waiting times between attempts: doubled each time, with jitter, so that a cluster does not come back all at once.
struct Backoff {
    private static let first = 0.1
    private static let last = 5.0
    private var seconds = Backoff.first

    mutating func next() -> Duration {
        defer { seconds = min(Self.last, seconds * 2) }
        return .seconds(Double.random(in: seconds / 2...seconds))
    }

    mutating func reset() { seconds = Self.first }
}
