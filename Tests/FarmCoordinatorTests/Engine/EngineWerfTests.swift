import BuildPlan
import Digests
import FarmAPI
import FoundationEssentials
import Store
import Testing

@testable import FarmCoordinator

// What a werf.yaml asks of the engine beyond a Dockerfile.
@Suite(.timeLimit(.minutes(2)))
struct EngineWerfTests {
    private func withFarm(_ body: (EngineFarm, FakeAgent) async throws -> Void) async throws {
        let farm = try await EngineFarm()
        let agent = FakeAgent("agent-1", farm.engine, farm.contexts)
        do {
            try await agent.join()
            try await body(farm, agent)
        } catch {
            await farm.end()
            throw error
        }
        await farm.end()
    }

    private func expectSuccess(_ build: BuildDescription) { #expect(build.status == .succeeded, "\(build.error ?? "")") }

    // MARK: Several images

    private static func two(_ db: String = "db") -> Plan {
        var plan = Make.plan([Make.stage("db", [Make.run(db)]), Make.stage("app", [Make.run("app")])])
        plan.images = [PlannedImage(name: "db", stage: 0), PlannedImage(name: "app", stage: 1)]
        return plan
    }

    @Test func `a build of several images has a result for each, by name`() async throws {
        try await withFarm { farm, agent in
            let id = try await farm.submit(Self.two())
            guard case .finished(.succeeded, _, let image, let images) = try await farm.finish(id).last?.kind else {
                return #expect(Bool(false))
            }
            #expect(await Set(agent.ran) == ["RUN db", "RUN app"])
            #expect(images?.keys.sorted() == ["app", "db"])
            #expect(images?["app"]?.digest == image?.digest)
            #expect(images?["db"]?.digest != image?.digest)
            let shown = try await farm.engine.describe(id)
            #expect(shown.images?.mapValues(\.digest) == images?.mapValues(\.digest))
            let stored = try #require(try await farm.store.build(id))
            for (name, image) in [("db", stored.images?["db"]), (nil, stored.image)] as [(String?, StoredResult?)] {
                _ = try await farm.engine.orderExport(id: "x-\(name ?? "")", build: id, image: name, type: .oci, tags: [])
                try await eventually {
                    await agent.commands.contains {
                        if case .export(let order) = $0 {
                            order.id == "x-\(name ?? "")" && order.manifest == image?.manifest
                        } else {
                            false
                        }
                    }
                }
            }
            let error = await #expect(throws: EngineError.self) {
                try await farm.engine.orderExport(id: "y", build: id, image: "none", type: .oci, tags: [])
            }
            #expect(error?.description.contains("'app', 'db'") == true)
        }
    }

    @Test func `a variable has another image's result, in the command and in the image, and a change of it runs the command anew`()
        async throws
    {
        try await withFarm { farm, agent in
            func plan(_ db: String) -> Plan {
                var plan = Self.two(db)
                guard case .run(var run) = plan.stages[1].steps[0].operation else { return plan }
                run.environment = ["A=1"]
                run.references = [StageReference(variable: "DB", stage: 0, kind: .imageID)]
                plan.stages[1].steps[0].operation = .run(run)
                plan.stages[1].references = [StageReference(variable: "DB_IMAGE", stage: 0, kind: .imageDigest)]
                return plan
            }
            for (db, runs) in [("db", 2), ("db", 2), ("db 2", 4)] {
                let shown = try await farm.build(plan(db))
                #expect(shown.status == .succeeded, "\(shown.error ?? "")")
                #expect(await agent.ran.count == runs)
                let image = try #require(shown.images?["db"])
                let last = try #require(await agent.received.last { $0.stageName == "app" })
                guard case .run(let run) = last.steps[0].operation else { return #expect(Bool(false)) }
                #expect(run.environment == ["A=1", "DB=\(image.configDigest)"])
                #expect(try await farm.store.build(shown.id)?.image?.config.contains("DB_IMAGE=\(image.digest)") == true)
            }
        }
    }

    // MARK: Files of the repository

    private static let mapping = GitMapping(path: "src", destination: "/app")

    private static func repository() -> Plan {
        func git(_ kind: GitOperation.Kind) -> Step {
            Step(name: "git \(kind.rawValue)", operation: .git(GitOperation(kind: kind, mappings: [mapping])), lines: 1...1)
        }
        var run = RunOperation(arguments: ["make"], environment: [], workingDirectory: "/")
        run.git = [mapping]
        run.dependencies = [TreeSelection(source: .context, path: "deps", wildcards: false, filter: PathFilter())]
        return Make.plan([Make.stage("app", [git(.archive), Step(name: "setup", operation: .run(run), lines: 2...2), git(.patch)])])
    }

    @Test func `a commit runs what it changes, and a step starts from the commit that the layers below it have`() async throws {
        try await withFarm { farm, agent in
            farm.contexts.set("src", "1")
            farm.contexts.set("deps", "1")
            func build(_ root: String) async throws -> (ran: [String], below: Digest?) {
                let before = await agent.ran.count
                let shown = try await farm.build(Self.repository(), root: root)
                #expect(shown.status == .succeeded, "\(shown.error ?? "")")
                return (await Array(agent.ran[before...]), await agent.received.last?.filesBelow)
            }
            let first = try await build("one")
            #expect(first.ran == ["git archive", "setup", "git patch"])
            #expect(first.below == nil)
            farm.contexts.set("src", "2")
            let second = try await build("two")
            #expect(second.ran == ["git patch"])
            #expect(second.below == Digest.of("one"))
            let again = try await build("two")
            #expect(again.ran.isEmpty)
            farm.contexts.set("deps", "2")
            let third = try await build("three")
            #expect(third.ran == ["setup", "git patch"])
            #expect(third.below == Digest.of("one"))
            // The patch below has the files of the commit that it was made for.
            farm.contexts.set("src", "3")
            let fourth = try await build("four")
            #expect(fourth.ran == ["git patch"])
            #expect(fourth.below == Digest.of("three"))
        }
    }

    @Test func `a record of a commit whose directories are gone does not count`() async throws {
        try await withFarm { farm, agent in
            farm.contexts.set("src", "1")
            farm.contexts.set("deps", "1")
            try await expectSuccess(farm.build(Self.repository(), root: "one"))
            farm.contexts.set("src", "2")
            _ = farm.contexts.state.withLock { $0.lost.insert(Digest.of("one")) }
            try await expectSuccess(farm.build(Self.repository(), root: "two"))
            #expect(await agent.ran.suffix(3) == ["git archive", "setup", "git patch"])
        }
    }

    @Test func `a patch that changes nothing leaves no layer and no line in the image's history`() async throws {
        try await withFarm { farm, agent in
            farm.contexts.set("src", "1")
            farm.contexts.set("deps", "1")
            await agent.play("git patch", .empty)
            let stored = try await farm.store.build(try await farm.build(Self.repository()).id)
            let image = try #require(stored?.image)
            #expect(image.layers.count == 3)
            #expect(!image.layers.map(\.diffID).contains(Coordinator.emptyLayer))
            #expect(!image.config.contains("git patch"))
            #expect(image.config.contains("git archive"))
        }
    }

    @Test func `what an open build reads of its context is held, and let go at its end`() async throws {
        try await withFarm { farm, agent in
            farm.contexts.set("src", "1")
            farm.contexts.set("deps", "1")
            await agent.play("setup", .hang)
            let id = try await farm.submit(Self.repository())
            try await eventually { farm.contexts.state.withLock { $0.held[id]?.contains(Self.mapping.selection) == true } }
            await agent.letGo()
            _ = try await farm.finish(id)
            #expect(farm.contexts.state.withLock { $0.held.isEmpty })
        }
    }

    // MARK: What is not in a layer

    @Test func `hosts and the size of shared memory run a command anew`() async throws {
        try await withFarm { farm, agent in
            let plan = Make.plan([Make.stage("main", [Make.run("one")])])
            var options = BuildOptions()
            for (hosts, size, runs) in [
                ([], nil, 1), (["db:10.0.0.1"], nil, 2), (["db:10.0.0.1"], nil, 2), (["db:10.0.0.2"], nil, 3), ([], 1 << 20, 4),
            ]
                as [([String], UInt64?, Int)]
            {
                options.extraHosts = hosts
                options.shmSize = size
                try await expectSuccess(farm.build(plan, options: options))
                #expect(await agent.ran.count == runs)
                guard case .run(let run) = await agent.received.last?.steps[0].operation else { return #expect(Bool(false)) }
                if runs == 3 { #expect(run.extraHosts == ["db:10.0.0.2"]) }
                if runs == 4 { #expect(run.shmSize == 1 << 20) }
            }
        }
    }

    @Test func `a path of the machine is mounted where an agent allows it, and else the build fails at once and says why`() async throws {
        try await withFarm { farm, agent in
            let mount = Mount(target: "/m", readOnly: false, kind: .host(path: "/srv/share/x"))
            let plan = Make.plan([Make.stage("main", [Make.run("one", [mount])])])
            let refused = try await farm.build(plan)
            #expect(refused.status == .failed)
            #expect(refused.error?.contains("/srv/share/x") == true)
            #expect(refused.error?.contains("host-paths") == true)
            let other = FakeAgent("agent-2", farm.engine, farm.contexts)
            try await other.join(hostPaths: ["/srv/sha", "/srv/share"])
            let shown = try await farm.build(plan)
            #expect(shown.stages[0].agent == "agent-2", "\(shown.error ?? "")")
            #expect(await agent.ran.isEmpty)
        }
    }

    // MARK: Secrets

    private static let value = "a secret that no file may have"

    private static func secret(_ id: String) -> Mount {
        Mount(target: "/run/secrets/\(id)", readOnly: true, kind: .secret(SecretMount(id: id)))
    }

    @Test func `a step's question for a secret waits for the client, is answered, and leaves nothing behind`() async throws {
        try await withFarm { farm, agent in
            await agent.play("RUN one", .hang)
            let id = try await farm.submit(
                Make.plan([Make.stage("main", [Make.run("one", [Self.secret("token"), Self.secret("other")])])]))
            try await eventually { await agent.received.count == 1 }
            let assignment = try #require(await agent.received.first?.id)
            let engine = farm.engine
            async let answer = engine.secret(SecretQuery(assignment: assignment, id: "token"), from: "agent-1")
            try await eventually {
                try await farm.store.events(of: id, after: 0, limit: 100).contains(where: {
                    if case .needsSecrets(let ids) = $0.kind { ids == ["other", "token"] } else { false }
                })
            }
            await #expect(throws: EngineError.self) { try await engine.takeSecrets(BuildSecrets([:]), of: id, user: "somebody else") }
            await #expect(throws: EngineError.self) {
                try await engine.takeSecrets(
                    BuildSecrets(["token": Array(repeating: 0, count: BuildSecrets.valueLimit + 1)]), of: id, user: "u")
            }
            try await engine.takeSecrets(BuildSecrets(["token": Array(Self.value.utf8)]), of: id, user: "u")
            #expect(try await answer.bytes == Array(Self.value.utf8))
            // The client has said what it has: the other one is none.
            let none = try await engine.secret(SecretQuery(assignment: assignment, id: "other"), from: "agent-1")
            #expect(none.known)
            #expect(none.bytes == nil)
            await #expect(throws: EngineError.self) {
                try await engine.secret(SecretQuery(assignment: assignment, id: "unasked"), from: "agent-1")
            }
            await #expect(throws: EngineError.self) {
                try await engine.secret(SecretQuery(assignment: assignment, id: "token"), from: "agent-2")
            }
            await agent.letGo()
            _ = try await farm.finish(id)
            #expect(await engine.secrets.isEmpty)
            await #expect(throws: EngineError.self) {
                try await engine.secret(SecretQuery(assignment: assignment, id: "token"), from: "agent-1")
            }
            for suffix in ["", "-wal"] {
                let bytes = try Data(contentsOf: URL(filePath: farm.path + suffix))
                #expect(bytes.range(of: Data(Self.value.utf8)) == nil)
                #expect(bytes.range(of: Data(Base64.encode(Array(Self.value.utf8)).utf8)) == nil)
            }
        }
    }
}
