import FarmAPI
import Glibc
import Testing

/// A build is cancelled while its agent waits for something: it ends at once, leaves nothing behind, and the next one works.
@Suite(.enabled(if: geteuid() == 0, "needs root"), .serialized, .timeLimit(.minutes(10)))
struct CancellationTests {
    /// A build with this is over by itself after minutes.
    private static let slow = FaultProxy.Weather.slow(200)
    /// What is brought: far more than comes over a slow line within a test.
    private static let megabytes = 16
    /// Much more than it takes to see that something is under way.
    private static let someBytes = 200_000
    /// Cancelled is over within this, also on a busy machine, and long before what it waited for.
    private static let atOnce = Duration.seconds(10)

    /// A farm of two agents with one slot each, and what a test does with it.
    private struct Bench {
        let farm: FaultFarm
        let folder: TemporaryFolder
        /// In the command line of every process of a step.
        let marker: String
        var cluster: TestCluster { farm.cluster }

        init() async throws {
            farm = try await FaultFarm.start(agents: 2, environment: ["FARM_SLOTS": "1", "FARM_VOLUME_COPIES": "1"])
            folder = try TemporaryFolder()
            marker = "cancelled-in-\(folder.root.split(separator: "/").last ?? "")"
        }

        func end() async {
            let wrong = await farm.stop(keepingLogs: false)
            #expect(wrong.isEmpty, "all daemons end in order")
            folder.remove()
        }

        func submit(_ name: String, _ dockerfile: String, _ options: String..., on agent: Int) throws -> Submitted {
            try folder.write("FROM busybox\n\(dockerfile)\n", to: "\(name)/Dockerfile")
            return try Submitted(
                ["submit", "--progress", "plain", "--project", "cancel", "--require", "name=agent-\(agent)"] + options
                    + ["\(folder.root)/\(name)"], cluster: cluster, path: "\(folder.root)/\(name).output")
        }

        func succeeds(_ build: Submitted, sourceLocation: SourceLocation = #_sourceLocation) async throws -> CommandResult {
            let result = await build.result(within: .seconds(90))
            try #require(result.status == 0, "\(result.testDescription)", sourceLocation: sourceLocation)
            return result
        }

        /// Cancels a build: its client, the agent's slot and all that the coordinator knows of it end at once.
        func cancel(_ build: Submitted) async throws {
            let cancelled = try await cluster.farm("cancel", try #require(build.build))
            try #require(cancelled.status == 0, "\(cancelled.testDescription)")
            #expect(await build.result(within: CancellationTests.atOnce).status == 130)
        }

        /// Nothing runs on the agent, and nothing of the build is left there or at the coordinator.
        func isOver(on agent: Int) async throws {
            try await eventually("the agent's slot is free", within: CancellationTests.atOnce) {
                let listed = try await cluster.farm("agents", "--json")
                let agents = try FarmJSON.decode([AgentDescription].self, from: Array(listed.output.utf8))
                return agents.first { $0.name == "agent-\(agent)" }?.running == 0
            }
            let checks = FaultChecks(farm: farm)
            try await checks.store()
            try await checks.agents(marker: marker)
        }
    }

    private func withBench(_ body: (Bench) async throws -> Void) async throws {
        try #require(Command.isThere("sqlite3"), "sqlite3 is needed: deploy/packages.sh test")
        let bench = try await Bench()
        do {
            try await body(bench)
        } catch {
            await bench.end()
            throw error
        }
        await bench.end()
    }

    /// Waits until so much has come through a proxy that something is under way there.
    private func isUnderWay(_ proxy: FaultProxy, since before: Int) async throws {
        try await eventually("something comes over the slow line") { proxy.passed - before > Self.someBytes }
    }

    @Test func `while its volume comes over a slow line`() async throws {
        try await withBench { bench in
            let mount = "--mount=type=cache,target=/cache"
            let fill = "dd if=/dev/urandom of=/cache/big bs=1M count=\(Self.megabytes) 2>/dev/null && sha256sum /cache/big > /cache/sum"
            _ = try await bench.succeeds(try bench.submit("fill", "RUN \(mount) \(fill)", on: 1))
            // The base image is there, so that it is the volume that comes slowly.
            _ = try await bench.succeeds(try bench.submit("first", "RUN echo first", on: 2))
            let line = bench.farm.agents[0].peers
            line.set(Self.slow)
            let before = line.passed
            let waiting = try bench.submit("waits", "RUN \(mount) : \(bench.marker)", on: 2)
            try await isUnderWay(line, since: before)
            let volumes = bench.farm.folder.path("farm/agent-2/data/volumes")
            let arriving = try await Command.run(["find", volumes, "-path", "*/tmp-*/big"])
            #expect(!arriving.output.isEmpty, "the volume is what comes")
            try await bench.cancel(waiting)
            try await bench.isOver(on: 2)
            // While the line is as slow as before.
            _ = try await bench.succeeds(try bench.submit("other", "RUN echo passed", on: 2))
            line.clear()
            let next = try bench.submit("next", "RUN \(mount) sha256sum -c /cache/sum && echo whole", on: 2)
            #expect(try await bench.succeeds(next).error.contains(" whole\n"))
            try await bench.isOver(on: 2)
        }
    }

    @Test func `while it waits for a volume's lock`() async throws {
        try await withBench { bench in
            let mount = "--mount=type=cache,target=/cache,sharing=locked"
            let holder = try bench.submit("holder", "RUN \(mount) echo has it; exec sleep 1000 # \(bench.marker)", on: 1)
            try await eventually("the volume is held") { holder.error.contains(" has it\n") }
            let waiting = try bench.submit("waits", "RUN \(mount) : \(bench.marker)", on: 2)
            try await eventually("the step waits") { waiting.error.contains("waits for volume") }
            let behind = try bench.submit("behind", "RUN \(mount) echo got it", on: 2)
            try await eventually("another waits behind it") { behind.error.contains("waits for volume") }
            try await bench.cancel(waiting)
            _ = try await bench.succeeds(try bench.submit("other", "RUN echo passed", on: 2))
            try await bench.cancel(holder)
            #expect(try await bench.succeeds(behind).error.contains(" got it\n"), "who was cancelled does not get the lock")
            for agent in [1, 2] { try await bench.isOver(on: agent) }
        }
    }

    @Test func `while a layer comes over a slow line`() async throws {
        try await withBench { bench in
            let make = "RUN dd if=/dev/urandom of=/big bs=1M count=\(Self.megabytes) 2>/dev/null && sha256sum /big > /sum"
            _ = try await bench.succeeds(try bench.submit("make", make, on: 1))
            let line = bench.farm.agents[0].peers
            line.set(Self.slow)
            let before = line.passed
            let waiting = try bench.submit("waits", "\(make)\nRUN : \(bench.marker)", on: 2)
            try await isUnderWay(line, since: before)
            try await bench.cancel(waiting)
            try await bench.isOver(on: 2)
            let layers = bench.farm.folder.path("farm/agent-2/data/layers")
            try await eventually("nothing of the layer is left") {
                try await Command.run(["sh", "-c", "test -z \"$(find \(layers) -size +100k -name big)\""]).status == 0
            }
            _ = try await bench.succeeds(try bench.submit("other", "RUN echo passed", on: 2))
            line.clear()
            let next = try bench.submit("next", "\(make)\nRUN sha256sum -c /sum && echo whole", on: 2)
            #expect(try await bench.succeeds(next).error.contains(" whole\n"))
        }
    }

    @Test func `while its result is brought to a user who gives up`() async throws {
        try await withBench { bench in
            let make = "RUN dd if=/dev/urandom of=/big bs=1M count=\(Self.megabytes) 2>/dev/null"
            _ = try await bench.succeeds(try bench.submit("make", make, on: 1))
            let archive = bench.folder.path("image.tar")
            let line = bench.farm.user
            line.set(Self.slow)
            let before = line.passed
            let waiting = try bench.submit("make", make, "-o", "type=oci,dest=\(archive)", on: 1)
            try await eventually("the archive comes over the slow line", within: .seconds(60)) { line.passed - before > 3 * Self.someBytes }
            waiting.interrupt()
            let result = await waiting.result(within: Self.atOnce)
            #expect(result.status == 130, "\(result.testDescription)")
            let left = try await Command.run(["sh", "-c", "ls -A \(bench.folder.root) | grep image"])
            #expect(left.status == 1, "no half archive: \(left.output)")
            line.clear()
            try await bench.isOver(on: 1)
            _ = try await bench.succeeds(try bench.submit("make", make, "-o", "type=oci,dest=\(archive)", on: 1))
            #expect(access(archive, F_OK) == 0)
            try await bench.isOver(on: 1)
        }
    }
}
