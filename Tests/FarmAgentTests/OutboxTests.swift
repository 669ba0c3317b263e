import BuildPlan
import FarmAPI
import Logging
import Synchronization
import Testing

@testable import FarmAgent

struct OutboxTests {
    /// A coordinator that remembers what it stored, and can be away.
    final class Coordinator: Sendable {
        let stored = Mutex<[AgentReport]>([])
        let requests = Mutex(0)
        let failures = Mutex<[any Error]>([])

        func store(_ reports: [AgentReport]) throws {
            requests.withLock { $0 += 1 }
            if let failure = failures.withLock({ $0.isEmpty ? nil : $0.removeFirst() }) { throw failure }
            stored.withLock { $0 += reports }
        }

        var numbers: [Int] { stored.withLock { $0.map(\.number) } }

        var log: String {
            stored.withLock { $0.map { if case .log(_, let text) = $0.kind { text } else { "" } }.joined() }
        }
    }

    struct Away: Error {}

    private func outbox(_ coordinator: Coordinator) -> Outbox {
        Outbox(epoch: "e", logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }) { try coordinator.store($0) }
    }

    private func drained(_ outbox: Outbox, _ body: () async -> Void) async {
        let running = Task { await outbox.run() }
        await body()
        // Longer than any machine is busy with other tests.
        await outbox.drain(within: .seconds(300))
        running.cancel()
        await running.value
    }

    @Test func `reports arrive in order and numbered from one`() async {
        let coordinator = Coordinator()
        let outbox = outbox(coordinator)
        await drained(outbox) { for step in 0..<100 { outbox.post(.stepStarted(step: step), assignment: "a") } }
        #expect(coordinator.numbers == Array(1...100))
        #expect(outbox.isEmpty)
    }

    @Test func `what could not be sent is sent again, once`() async {
        let coordinator = Coordinator()
        coordinator.failures.withLock { $0 = [Away(), RequestFailed(status: 503, message: ""), RequestFailed(status: 409, message: "")] }
        let outbox = outbox(coordinator)
        await drained(outbox) { for step in 0..<5 { outbox.post(.stepStarted(step: step), assignment: "a") } }
        #expect(coordinator.numbers == [1, 2, 3, 4, 5])
    }

    @Test func `output is whole when an answer was lost and more came before the next attempt`() async {
        let coordinator = Coordinator()
        let outbox = Outbox(epoch: "e", logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }) { reports in
            // As the coordinator does: a number that it has stored is skipped.
            let last = coordinator.numbers.last ?? 0
            try coordinator.store(reports.filter { $0.number > last })
            // Stored, but the first answer is lost: the coordinator was killed.
            if coordinator.requests.withLock({ $0 }) == 1 { throw Away() }
        }
        let lines = (0..<200).map { "line \($0)\n" }
        outbox.post(.log(step: 0, text: lines[0]), assignment: "a")
        await drained(outbox) {
            while coordinator.requests.withLock({ $0 }) == 0 { await Task.yield() }
            for line in lines.dropFirst() {
                outbox.post(.log(step: 0, text: line), assignment: "a")
                try? await Task.sleep(for: .milliseconds(1))
            }
        }
        #expect(coordinator.log == lines.joined())
    }

    @Test func `what is refused for good does not hold up the rest`() async {
        let coordinator = Coordinator()
        coordinator.failures.withLock { $0 = [RequestFailed(status: 400, message: "")] }
        let outbox = outbox(coordinator)
        outbox.post(.stepStarted(step: 0), assignment: "a")
        await drained(outbox) {
            while coordinator.requests.withLock({ $0 }) == 0 { await Task.yield() }
            outbox.post(.stepStarted(step: 1), assignment: "a")
        }
        #expect(coordinator.numbers == [2])
    }

    @Test func `output is put together, per step and with nothing lost`() async {
        let coordinator = Coordinator()
        let outbox = outbox(coordinator)
        let lines = (0..<5000).map { "line \($0)\n" }
        for line in lines { outbox.post(.log(step: 0, text: line), assignment: "a") }
        outbox.post(.log(step: 1, text: "other"), assignment: "a")
        outbox.post(.log(step: 1, text: "another"), assignment: "b")
        await drained(outbox) {}
        #expect(coordinator.log == lines.joined() + "other" + "another")
        #expect(coordinator.stored.withLock { $0.count } == 3)
        #expect(coordinator.numbers == [1, 2, 3])
    }

    @Test func `a report after output comes after it`() async {
        let coordinator = Coordinator()
        let outbox = outbox(coordinator)
        outbox.post(.log(step: 0, text: "a"), assignment: "a")
        outbox.post(.stageFinished(.succeeded), assignment: "a")
        outbox.post(.log(step: 0, text: "b"), assignment: "a")
        await drained(outbox) {}
        #expect(coordinator.stored.withLock { $0.count } == 3)
        #expect(coordinator.numbers == [1, 2, 3])
    }

    @Test func `short lines of two steps in turn are bounded too`() {
        let outbox = outbox(Coordinator())
        let most = Outbox.waitingLimit / Outbox.reportCost
        for number in 0..<most + 1000 { outbox.post(.log(step: 0, text: "x"), assignment: number % 2 == 0 ? "a" : "b") }
        // All were taken under a number until the bound, and a note for each assignment then.
        #expect(outbox.count <= most + 2)
        #expect(outbox.count > most / 2)
    }

    @Test func `output beyond the bound is dropped and said so, reports are not`() async {
        let coordinator = Coordinator()
        let outbox = outbox(coordinator)
        let piece = String(repeating: "x", count: 1 << 20)
        for _ in 0..<80 { outbox.post(.log(step: 0, text: piece), assignment: "a") }
        outbox.post(.stageFinished(.succeeded), assignment: "a")
        await drained(outbox) {}
        #expect(coordinator.log.utf8.count < 65 << 20)
        #expect(coordinator.log.contains("output is missing here"))
        #expect(coordinator.stored.withLock { if case .stageFinished = $0.last?.kind { true } else { false } })
    }
}

struct BackoffTests {
    @Test func `waiting times grow to a bound`() {
        var backoff = Backoff()
        let times = (0..<20).map { _ in backoff.next() }
        #expect(times.allSatisfy { $0 >= .milliseconds(50) && $0 <= .seconds(5) })
        #expect(times[19] >= .seconds(2.5))
        backoff.reset()
        #expect(backoff.next() <= .milliseconds(100))
    }
}
