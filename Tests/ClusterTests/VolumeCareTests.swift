import FarmAPI
import Glibc
import Testing

/// Three agents, copies in the background, a small quota, and a first agent with a small disk.
@Suite(
    .enabled(if: geteuid() == 0, "needs root"),
    .cluster(
        agents: 3,
        environment: [
            "FARM_VOLUME_COPIES": "2", "FARM_COPY_SETTLE": "1", "FARM_VOLUME_QUOTAS": "quota=3M", "FARM_VOLUME_QUOTA_LOW": "60",
        ], diskSizes: ["agent-1": 100]), .serialized, .timeLimit(.minutes(10)))
struct VolumeCareTests {
    let cluster: TestCluster
    let context: TemporaryFolder

    init() throws {
        cluster = try #require(TestCluster.current)
        context = try TemporaryFolder()
    }

    @discardableResult
    private func run(_ command: String, target: String = "/cache", on agent: String? = nil, project: String) async throws
        -> BuildDescription
    {
        try context.write("FROM busybox\nRUN --mount=type=cache,target=\(target) \(command)\n", to: "Dockerfile")
        let required = agent.map { ["--require", "name=\($0)"] } ?? []
        let metadata = context.path(".metadata")
        let result = try await cluster.farm(
            ["submit", "--progress", "plain", "--no-cache", "--project", project, "--metadata-file", metadata] + required + [context.root])
        try #require(result.status == 0, "\(result.testDescription)")
        let reference = try FarmJSON.decode([String: String].self, from: Array((TemporaryFolder.read(metadata) ?? "").utf8))
        return try await cluster.show(try #require(reference["farm.build.ref"]))
    }

    private func log(_ build: BuildDescription) async throws -> String { try await cluster.farm("logs", build.id).output }

    private func agents() async throws -> [AgentDescription] {
        try FarmJSON.decode([AgentDescription].self, from: Array(try await cluster.farm("agents", "--json").output.utf8))
    }

    /// The directory of an agent's volumes.
    private func volumes(of agent: Int) -> String { "\(cluster.data)/agent-\(agent)/data/volumes" }

    /// The directories of the volumes that an agent has of a project.
    private func states(of project: String, on agent: Int) async throws -> [String] {
        let found = try await Command.run(["sh", "-c", "grep -l '\"\(project)\"' \(volumes(of: agent))/*/state"])
        return found.output.split(separator: "\n").map { String($0.dropLast("/state".count)) }
    }

    /// Makes `file` in all layers of a project's volumes on an agent something else.
    private func spoil(_ project: String, on agent: Int) async throws {
        for directory in try await states(of: project, on: agent) {
            let spoiled = try await Command.run(["sh", "-c", "for f in \(directory)/g*/file; do echo wrong > $f; done"])
            #expect(spoiled.status == 0, "\(spoiled.testDescription)")
        }
    }

    @Test func `an agent that dies with its disk takes no cache with it`() async throws {
        defer { context.remove() }
        try await run("echo precious > /cache/file", on: "agent-1", project: "loss")
        try await eventually("a second agent has it") { try await cluster.volumes(of: "loss").first?.copies == 2 }
        let kept = try #require(try await cluster.volumes(of: "loss").first?.holders.map(\.agent).first { $0 != "agent-1" })
        // It comes back, started again by farm dev, with nothing.
        kill(try cluster.daemon("agent-1"), SIGKILL)
        #expect(access(volumes(of: 1), F_OK) == 0)
        let removed = try await Command.run(["rm", "-rf", volumes(of: 1)])
        try #require(removed.status == 0, "\(removed.testDescription)")
        let other = kept == "agent-2" ? "agent-3" : "agent-2"
        let build = try await run("cat /cache/file", on: other, project: "loss")
        #expect(try await log(build).contains("precious"))
        try await eventually("the agent is back") { try await agents().allSatisfy { $0.state == .ready } }
    }

    @Test func `an agent may be stopped when draining it has returned`() async throws {
        defer { context.remove() }
        try await run("echo moved > /cache/file", on: "agent-2", project: "leaving")
        let drained = try await cluster.farm("drain", "--wait", "agent-2", timeLimit: .seconds(60))
        #expect(drained.status == 0, "\(drained.testDescription)")
        #expect(try await agents().first { $0.name == "agent-2" }?.onlyHere == 0)
        let volume = try #require(try await cluster.volumes(of: "leaving").first)
        #expect(volume.holders.contains { $0.agent != "agent-2" && $0.generation == volume.generation })
        #expect(try await cluster.farm("resume", "agent-2").status == 0)
    }

    @Test func `a project keeps within its quota, and what was removed leaves nothing on any disk`() async throws {
        defer { context.remove() }
        for name in ["first", "second", "third"] {
            try await run("dd if=/dev/urandom of=/\(name)/x bs=1024 count=1200 2>/dev/null", target: "/\(name)", project: "quota")
        }
        #expect(try await !(states(of: "quota", on: 1) + states(of: "quota", on: 2) + states(of: "quota", on: 3)).isEmpty)
        try await eventually("the longest unused are removed") { try await cluster.volumes(of: "quota").map(\.id) == ["/third"] }
        #expect(try await cluster.farm("volumes", "rm", "quota", "/third").status == 0)
        try await eventually("no disk has anything of the project") {
            for number in 1...3 {
                if try await !states(of: "quota", on: number).isEmpty { return false }
            }
            return true
        }
    }

    @Test func `verify finds what a disk has made of a volume, and mends it`() async throws {
        defer { context.remove() }
        try await run("echo right > /cache/file", on: "agent-2", project: "verify")
        try await eventually("a second agent has it") { try await cluster.volumes(of: "verify").first?.copies == 2 }
        let sound = try await cluster.farm("volumes", "verify", "verify")
        #expect(sound.status == 0 && sound.output.contains("on agent-2: sound"), "\(sound.testDescription)")
        try await spoil("verify", on: 2)
        let mended = try await cluster.farm("volumes", "verify", "verify", "/cache", "--json")
        #expect(mended.status == 0, "\(mended.testDescription)")
        let rows = try FarmJSON.decode([VolumeVerification].self, from: Array(mended.output.utf8))
        let row = try #require(rows.first { $0.agent == "agent-2" })
        #expect(row.outcome == .repaired && Set(row.damage.map(\.path)) == ["file"])
        #expect(try await log(try await run("cat /cache/file", on: "agent-2", project: "verify")).contains("right"))
        // Both copies: nothing to mend it from.
        for number in 1...3 { try await spoil("verify", on: number) }
        let lost = try await cluster.farm("volumes", "verify", "verify")
        #expect(lost.status == 1 && lost.output.contains("dropped"), "\(lost.testDescription)")
        #expect(try await cluster.volumes(of: "verify").isEmpty)
        #expect(try await cluster.farm("volumes", "verify", "nobody").status == 1)
    }

    @Test func `builds at the same time on one agent keep what each adds to a volume`() async throws {
        defer { context.remove() }
        let (builders, builds) = (4, 6)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for builder in 1...builders {
                group.addTask { [cluster] in
                    let context = try TemporaryFolder()
                    defer { context.remove() }
                    try context.write("FROM busybox\nARG N\nRUN --mount=type=cache,target=/cache touch /cache/$N\n", to: "Dockerfile")
                    for build in 1...builds {
                        let result = try await cluster.farm([
                            "submit", "--progress", "plain", "--project", "overlap", "--require", "name=agent-2", "--build-arg",
                            "N=\(builder)-\(build)", context.root,
                        ])
                        #expect(result.status == 0 && !result.output.contains("volume /cache"), "\(result.testDescription)")
                    }
                }
            }
            try await group.waitForAll()
        }
        let build = try await run("ls /cache | wc -l", on: "agent-2", project: "overlap")
        #expect(try await log(build).contains("\(builders * builds)\n"))
    }

    @Test func `damaged copies are found by who brings them, and nobody waits for them any more`() async throws {
        defer { context.remove() }
        try await run("echo right > /cache/file", on: "agent-2", project: "rot")
        try await eventually("a second agent has it") { try await cluster.volumes(of: "rot").first?.copies == 2 }
        let holders = try #require(try await cluster.volumes(of: "rot").first).holders.map(\.agent)
        for number in 1...3 { try await spoil("rot", on: number) }
        let third = try #require((1...3).map { "agent-\($0)" }.first { !holders.contains($0) })
        // Its end waits until the coordinator knows that nobody has what is right.
        let build = try await run("test ! -e /cache/file && echo anew > /cache/file", on: third, project: "rot")
        #expect(try await log(build).contains("could not give it"))
        #expect(try await log(try await run("cat /cache/file", on: holders[0], project: "rot")).contains("anew"))
    }

    @Test func `a step that fills the disk is run elsewhere, and the agent has room again`() async throws {
        defer { context.remove() }
        try context.write(
            "FROM busybox\nRUN --mount=type=cache,target=/cache dd if=/dev/zero of=/cache/big bs=1M count=150 2>&1 && echo fits\n",
            to: "Dockerfile")
        // Of agents that are alike the first by name is taken.
        let build = try await cluster.build(context, project: "full")
        #expect(build.stages[0].agent != "agent-1" && build.stages[0].attempts >= 2)
        #expect(try await log(build).contains("fits"))
        let agentLog = TemporaryFolder.read("\(cluster.data)/agent-1.log") ?? ""
        #expect(agentLog.contains("was full while the step ran"), "\(agentLog.suffix(2000))")
        try await eventually("what the step wrote is gone") {
            var info = statvfs()
            return statvfs("\(cluster.data)/agent-1", &info) == 0 && info.f_bavail * info.f_frsize > 50 << 20
        }
    }

    @Test func `a volume too large for a disk goes elsewhere with its stage, or the build says what lacks where`() async throws {
        defer { context.remove() }
        try await run("echo small > /cache/file", on: "agent-1", project: "small")
        try await eventually("a second agent has the small one") { try await cluster.volumes(of: "small").first?.copies == 2 }
        try await run("dd if=/dev/zero of=/cache/big bs=1M count=130 2>/dev/null", on: "agent-2", project: "large")
        func submit(_ name: String, _ options: String...) async throws -> CommandResult {
            let command = "wc -c /cache/big && echo \(name)"
            try context.write("FROM busybox\nRUN --mount=type=cache,target=/cache \(command)\n", to: "Dockerfile")
            return try await cluster.farm(["submit", "--progress", "plain", "--project", "large"] + options + [context.root])
        }
        let lacks = "agent-1: volume /cache needs 130 MiB here, and the disk has "
        let elsewhere = try await submit("elsewhere", "--prefer", "name=agent-1")
        #expect(elsewhere.status == 0 && elsewhere.error.contains("136314880 /cache/big"), "\(elsewhere.testDescription)")
        #expect(elsewhere.error.contains(lacks), "why it did not run where it was wished: \(elsewhere.error)")
        let nowhere = try await submit("nowhere", "--require", "name=agent-1")
        #expect(nowhere.status == 1 && nowhere.output.isEmpty)
        let last = nowhere.error.split(separator: "\n").last { $0.contains(lacks) }
        #expect(last?.contains("give this agent more room") == true, "\(nowhere.testDescription)")
        // Nothing is left of the attempts, and what helped nobody was not removed for them.
        let left = try await Command.run(["find", volumes(of: 1), "-mindepth", "2", "-name", "tmp-*"])
        #expect(left.output.isEmpty, "\(left.output)")
        #expect(try await !states(of: "small", on: 1).isEmpty, "another volume has to go only where that makes enough room")
    }
}
