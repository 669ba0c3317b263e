import BuildPlan
import FarmAPI
import Testing

@testable import Client

@Suite struct ListingTests {
    @Test func `a table gives up columns of its flexible one only where the terminal is narrow`() {
        var table = Table(["ID", "NAME", "SIZE"], flexible: 1)
        table.append(["1", "a rather long name, which is cut", "12 B"])
        table.append(["2", "漢字", ""])
        #expect(table.text() == "ID  NAME                              SIZE\n1   a rather long name, which is cut  12 B\n2   漢字\n")
        #expect(table.text(columns: 30) == "ID  NAME                  SIZE\n1   a rather long name,…  12 B\n2   漢字\n")
        #expect(table.text(columns: 1).split(separator: "\n").allSatisfy { Printable.columns(String($0)) <= 26 })
    }

    @Test func `a cell can't break its row or steer the terminal`() {
        var table = Table(["A", "B"])
        table.append(["x\ny\u{1B}[31m", "z"])
        #expect(table.text() == "A   B\nxy  z\n")
    }

    @Test func `a build is shown with what it was given`() {
        var build = BuildDescription(id: "b1", project: "p", status: .queued, createdAt: Timestamp(seconds: 80))
        build.platform = Platform(os: "linux", architecture: "arm64")
        (build.cpus, build.memory, build.priority) = (1.5, 3 << 29, 2)
        build.require = ["zone": "a", "disk": "ssd"]
        build.prefer = ["name": "x"]
        #expect(
            BuildText(build: build, now: Timestamp(seconds: 100), columns: nil).text == """
                build      b1
                project    p
                status     queued
                submitted  20s ago, 1970-01-01T00:01:20Z
                platform   linux/arm64
                resources  1.5 CPUs and 1.5 GiB of memory for each stage
                priority   high
                requires   disk=ssd zone=a
                prefers    name=x

                """)
    }

    @Test func `agents show what is reserved of them, where it can be`() {
        var agent = AgentDescription(
            name: "a", state: .ready, labels: ["os": "linux", "arch": "amd64"], slots: 4, running: 1, address: "h:1", runtime: "crun",
            version: "1", lastSeen: Timestamp(seconds: 0))
        #expect(Listings.cpus(of: agent) == "-" && Listings.memory(of: agent) == "-")
        #expect(Listings.platforms(of: agent) == "linux/amd64")
        (agent.cpus, agent.memory, agent.reservedCPUs) = (8, 16 << 30, 2.5)
        #expect(Listings.cpus(of: agent) == "2.5/8" && Listings.memory(of: agent) == "0/16 GiB")
        agent.reservedMemory = 512 << 20
        agent.emulated = [Platform(os: "linux", architecture: "arm64")]
        #expect(Listings.memory(of: agent) == "512 MiB/16 GiB" && Listings.platforms(of: agent) == "linux/amd64 (linux/arm64)")
    }

    @Test func `a build is shown with its steps' numbers, exit codes, places and bytes`() {
        var cached = BuildDescription.Step(name: "[a 2/2] COPY . .", status: .succeeded)
        cached.cached = true
        var failed = BuildDescription.Step(name: "[b 2/2] RUN make", status: .failed)
        failed.startedAt = Timestamp(seconds: 90)
        failed.finishedAt = Timestamp(seconds: 92)
        failed.exitCode = 2
        failed.bytes.volumes = 1_500_000
        var build = BuildDescription(
            id: "b1", project: "p", status: .failed, createdAt: Timestamp(seconds: 80),
            stages: [
                .init(name: "a", agent: nil, status: .succeeded, attempts: 1, placement: nil, steps: [cached]),
                .init(name: "b", agent: "agent-1", status: .failed, attempts: 2, placement: "least to bring", steps: [failed]),
            ])
        build.error = "make failed"
        #expect(
            BuildText(build: build, now: Timestamp(seconds: 100), columns: nil).text == """
                build      b1
                project    p
                status     failed
                submitted  20s ago, 1970-01-01T00:01:20Z
                error      make failed
                received   volumes 1.5 MB

                a: succeeded
                  #  STEP              STATUS  TIME  RECEIVED
                  1  [a 2/2] COPY . .  cached

                b: failed on agent-1, attempt 2
                  placed: least to bring
                  #  STEP              STATUS          TIME  RECEIVED
                  2  [b 2/2] RUN make  failed, exit 2  2.0s  volumes 1.5 MB

                """)
    }

    @Test func `what an agent that drains still has is counted in words`() {
        var agent = AgentDescription(
            name: "a", state: .draining, labels: [:], slots: 4, running: 1, address: "h:1", runtime: "crun", version: "1", lastSeen: .epoch)
        agent.onlyHere = 2
        #expect(Listings.rest(of: agent) == "a: 1 stage runs, 2 volumes are only there\n")
        (agent.running, agent.onlyHere) = (0, 1)
        #expect(Listings.rest(of: agent) == "a: 0 stages run, 1 volume is only there\n")
    }

    @Test func `an agent that is set aside says why and for how long`() {
        var agent = AgentDescription(
            name: "agent-1", state: .setAside, labels: [:], slots: 1, running: 0, address: "h:1", runtime: "crun", version: "1",
            lastSeen: .epoch)
        #expect(Listings.trouble(of: agent, now: .epoch) == nil)
        agent.setAside = .init(reason: "its disk\u{1B}[31m is full", until: Timestamp(seconds: 90), isOnTrial: false)
        #expect(
            Listings.trouble(of: agent, now: .epoch)
                == "agent-1 is set aside for another 1m30s: its disk is full; farm resume agent-1 gives it stages at once\n")
        agent.setAside?.isOnTrial = true
        #expect(Listings.trouble(of: agent, now: .epoch)?.contains("one stage at a time") == true)
    }

    @Test func `a placement is shown with what was compared`() {
        var bytes = ReceivedBytes()
        bytes.volumes = 40_000_000
        let warm = PlacementDecision.Candidate(
            agent: "agent-2", queue: 0, transfer: 0, run: 32, adjustment: 0, bytes: ReceivedBytes())
        let cold = PlacementDecision.Candidate(
            agent: "agent-1\u{1B}[31m", queue: 0, transfer: 4, run: 32, adjustment: -2, bytes: bytes)
        var decision = PlacementDecision(
            outcome: .placed, time: .epoch, agent: "agent-2", candidates: [warm, cold], compared: 9,
            usual: .init(runs: 12, mean: 32, deviation: 4.04))
        #expect(
            DecisionText(decision: decision).text == """
                  placed: on agent-2, the least sum of 9 agents that can run it; usually runs 32.0s ± 4.0s (12 runs)
                    AGENT    QUEUE  TRANSFER  RUN    ADJUST  SUM    TO BRING
                    agent-2  0.0s   0.0s      32.0s  0.0s    32.0s  nothing
                    agent-1  0.0s   4.0s      32.0s  -2.0s   34.0s  volumes 40.0 MB
                    and 7 more

                """)
        decision = PlacementDecision(
            outcome: .unplaceable, time: .epoch, reason: "agent-2 is draining",
            objections: [.init(agent: "agent-2", reason: "it is draining")])
        #expect(
            DecisionText(decision: decision).text == """
                  waits: agent-2 is draining
                    AGENT    WHY NOT
                    agent-2  it is draining

                """)
    }

    @Test(arguments: [
        (-5.0, "now"), (0.9, "now"), (59.9, "59s ago"), (60, "1m ago"), (7_200, "2h ago"), (200_000, "2d ago"), (1e300, "11574074d ago"),
    ])
    func `ages are short`(seconds: Double, text: String) { #expect(Human.age(seconds) == text) }
}
