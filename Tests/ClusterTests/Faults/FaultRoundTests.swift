import Glibc
import Testing

/// Builds to which something happens, at seeded moments: they end as they would have.
///
/// `FARM_FAULT_ROUNDS` says how many rounds, `FARM_FAULT_SEED` the first seed: a round that failed is had again by
/// `FARM_FAULT_ROUNDS=1 FARM_FAULT_SEED=n`. Its logs are kept, in the folder that is named.
@Suite(.enabled(if: geteuid() == 0, "needs root"), .serialized)
struct FaultRoundTests {
    private static func number(_ variable: String, default value: Int) -> Int {
        getenv(variable).flatMap { Int(String(cString: $0)) } ?? value
    }

    /// Each fault at least once.
    private static let rounds = number("FARM_FAULT_ROUNDS", default: 20)
    private static let firstSeed = number("FARM_FAULT_SEED", default: 1)
    private static let agents = 3

    /// Pulled cables cost a lease more often than not: fewer of them.
    private static let cableRounds = max(2, rounds / 10)

    @Test func `builds end as they would have, whatever is killed, halted, cut off or full`() async throws {
        try await run(Self.rounds, faults: Fault.ofProxies, cables: false)
    }

    @Test(.enabled(if: FaultNetwork.isPossible, "needs ip and nsenter"))
    func `builds end as they would have, whichever cable is pulled`() async throws {
        try await run(Self.cableRounds, faults: Fault.ofCables, cables: true)
    }

    private func run(_ rounds: Int, faults: [Fault], cables: Bool) async throws {
        try #require(Command.isThere("sqlite3"), "sqlite3 is needed: deploy/packages.sh test")
        var farm = try await FaultFarm.start(agents: Self.agents, cables: cables)
        var driver = FaultDriver(farm: farm)
        var failed: [UInt64] = []
        for number in 0..<rounds {
            let round = FaultRound(seed: UInt64(Self.firstSeed + number), agents: Self.agents, faults: faults)
            Self.tell("round \(round)\n")
            guard await !isGood(round, driver) else { continue }
            // The next round gets a farm that is not as this one was left.
            failed.append(round.seed)
            await farm.stop(keepingLogs: true)
            Issue.record("failed with \(round); logs: \(farm.logs)")
            farm = try await FaultFarm.start(agents: Self.agents, cables: cables)
            driver = FaultDriver(farm: farm)
        }
        let wrong = await farm.stop(keepingLogs: false)
        #expect(wrong.isEmpty, "all daemons end in order")
        #expect(failed.isEmpty, "\(rounds) rounds")
    }

    /// At once, also into a file.
    private static func tell(_ text: String) { _ = text.withCString { write(STDERR_FILENO, $0, strlen($0)) } }

    private func isGood(_ round: FaultRound, _ driver: FaultDriver) async -> Bool {
        do {
            try await driver.run(round)
            return true
        } catch {
            Issue.record("\(round): \(error)")
            return false
        }
    }
}
