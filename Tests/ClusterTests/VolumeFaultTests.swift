import FarmAPI
import Glibc
import Testing

/// Agents are killed while volumes move and are published: the next step finds a whole generation, an old one or the new.
@Suite(.enabled(if: geteuid() == 0, "needs root"), .cluster(agents: 2), .timeLimit(.minutes(20)))
struct VolumeFaultTests {
    /// More by `FARM_FAULT_ROUNDS`.
    private static let rounds = getenv("FARM_FAULT_ROUNDS").flatMap { Int(String(cString: $0)) } ?? 2

    let cluster: TestCluster
    let context: TemporaryFolder

    init() throws {
        cluster = try #require(TestCluster.current)
        context = try TemporaryFolder()
    }

    private func submit(_ command: String, on agent: String) async throws -> CommandResult {
        try context.write("FROM busybox\nRUN --mount=type=cache,target=/cache \(command)\n", to: "Dockerfile")
        return try await cluster.farm(
            ["submit", "--progress", "plain", "--project", "kill", "--no-cache", "--require", "name=\(agent)", context.root])
    }

    private func allReady() async throws {
        try await eventually("all agents are back") {
            let agents = try await cluster.farm("agents", "--json")
            guard agents.status == 0 else { return false }
            let list = try FarmJSON.decode([AgentDescription].self, from: Array(agents.output.utf8))
            return list.count == 2 && list.allSatisfy { $0.state == .ready }
        }
    }

    @Test func `an agent that is killed while a volume moves or is published spoils no generation`() async throws {
        defer { context.remove() }
        // What is there is as its own list says; then it grows.
        let check = "cd /cache && { test ! -e sums || sha256sum -c sums > /dev/null; }"
        let grow = "for i in 1 2 3 4 5 6; do dd if=/dev/urandom of=f$i bs=1M count=2 2>/dev/null; done; sha256sum f* > sums"
        let first = try await submit("\(check) && { \(grow); }", on: "agent-1")
        try #require(first.status == 0, "\(first.testDescription)")
        for round in 0..<Self.rounds {
            let (writer, victim) = round % 2 == 0 ? ("agent-2", "agent-1") : ("agent-1", "agent-2")
            // Of the holder in one round, of the receiver and publisher in the next; at another moment in each.
            let killed = round % 4 < 2 ? victim : writer
            let daemon = try cluster.daemon(killed)
            let delay = Duration.milliseconds(300 + (round * 397) % 1500)
            let killer = Task {
                try await Task.sleep(for: delay)
                kill(daemon, SIGKILL)
            }
            let result = try await submit("\(check) && { \(grow); }", on: writer)
            _ = try? await killer.value
            #expect(result.status == 0, "round \(round), \(killed) killed after \(delay): \(result.testDescription)")
            try await allReady()
            for agent in ["agent-1", "agent-2"] {
                let looked = try await submit("\(check) && ls /cache && wc -l < sums", on: agent)
                #expect(looked.status == 0 && looked.error.contains(" 6\n"), "round \(round): \(looked.testDescription)")
            }
        }
        // Nothing of a transfer or a mount stays.
        let left = try await Command.run(["find", cluster.data, "-maxdepth", "5", "-path", "*volumes*", "-name", "tmp-*"])
        #expect(left.output.isEmpty, "\(left.output)")
    }
}
