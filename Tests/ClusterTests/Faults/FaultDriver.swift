import FarmAPI
import Glibc
import Testing

/// Runs rounds in one farm: a build, something that goes wrong in the middle of it, and what must be so afterwards.
actor FaultDriver {
    let farm: FaultFarm
    private let checks: FaultChecks
    /// In the command line of every process of a step.
    let marker: String
    /// Of builds to which nothing happened.
    private var references: [String: ImageContents] = [:]
    /// What steps left in volumes, and should still be there, by the target.
    private var left: [String: Set<String>] = [:]
    private var submissions = 0

    /// No build takes so long, whatever happens.
    private static let limit = Duration.seconds(150)

    init(farm: FaultFarm) {
        self.farm = farm
        checks = FaultChecks(farm: farm)
        marker = "step-of-\(farm.folder.root.split(separator: "/").last ?? "")"
    }

    // MARK: A round

    func run(_ round: FaultRound) async throws {
        var random = round.random
        let name = "s\(round.seed)n\(submissions)"
        var contexts: [TemporaryFolder] = []
        defer { for context in contexts { context.remove() } }
        for text in round.build.dockerfiles(marker: marker, round: name) {
            let context = try TemporaryFolder()
            contexts.append(context)
            try context.write(text + "\n", to: "Dockerfile")
            try round.build.writeContext(context, &random)
        }
        let builds = try contexts.map { try submit($0, "--no-cache") }
        async let troubled: Void = trouble(round, builds)
        var results: [CommandResult] = []
        for build in builds { results.append(await build.result(within: Self.limit)) }
        try await troubled
        try await farm.heal()
        try await farm.waitUntilReady()
        for (number, result) in results.enumerated() {
            try await check(result, of: round, number, context: contexts[number], name: name)
        }
        try await look(round, name, results)
        try await checks.all(marker: marker)
    }

    private func trouble(_ round: FaultRound, _ builds: [Submitted]) async throws {
        let start = ContinuousClock.now
        for build in builds { try await build.wait(for: round.fault.earliest) }
        try await Task.sleep(until: start + .milliseconds(round.moment))
        let victim = try await victim(of: round)
        await round.fault.begin(in: farm, round, victim: victim)
        if round.fault == .agentHung {
            for build in builds { await build.waitForEnd() }
            await victim.daemon.kill()
        } else {
            try await Task.sleep(for: .milliseconds(round.duration))
        }
        try await farm.heal()
    }

    private func victim(of round: FaultRound) async throws -> FaultFarm.Agent {
        guard round.prefersBusy, let asked = try? await farm.cluster.farm("agents", "--json", timeLimit: .seconds(5)), asked.status == 0,
            let busy = try FarmJSON.decode([AgentDescription].self, from: Array(asked.output.utf8)).first(where: { $0.running > 0 }),
            let agent = farm.agents.first(where: { $0.name == busy.name })
        else { return farm.agents[round.victim] }
        return agent
    }

    // MARK: Submitting

    private func submit(_ context: TemporaryFolder, _ options: String...) throws -> Submitted {
        submissions += 1
        let path = "\(farm.logs)/submit-\(submissions)"
        let arguments = ["submit", "--progress", "plain", "--project", FaultBuild.project] + options + [context.root]
        return try Submitted(arguments, cluster: farm.cluster, path: path)
    }

    private func finish(_ context: TemporaryFolder, _ options: String...) async throws -> CommandResult {
        submissions += 1
        let arguments = ["submit", "--progress", "plain", "--project", FaultBuild.project] + options + [context.root]
        return await (try Submitted(arguments, cluster: farm.cluster, path: "\(farm.logs)/submit-\(submissions)")).result(
            within: Self.limit)
    }

    // MARK: What must be so

    private func check(
        _ result: CommandResult, of round: FaultRound, _ number: Int, context: TemporaryFolder, name: String
    ) async throws {
        if round.build == .failure {
            try demand(result.status == 1 && result.error.contains("exit code: 7"), "it fails as it would have: \(result.testDescription)")
            try demand(!result.error.contains("tried"), "a step that fails by itself is not tried again: \(result.testDescription)")
            return
        }
        try #require(result.status == 0, "\(result.testDescription)")
        if round.build == .chain { try checkLines(result) }
        // What was made is found again, and is what is made when nothing happens.
        let archive = context.path("image.tar")
        let again = try await finish(context, "-o", "type=oci,dest=\(archive)")
        try #require(again.status == 0, "\(again.testDescription)")
        // An agent without room gives up layers; what is made once more was made at another time, which is part of the digest.
        let isCached = !again.error.contains(" DONE") || again.error.contains("CACHED") && !again.error.contains("DONE")
        try demand(
            again.line == result.line || round.fault == .agentDiskFull && !isCached,
            "the digest is the same when all is cached: \(again.testDescription) \(result.testDescription)")
        let contents = try await ImageContents(archive: archive)
        let key = round.build == .upload ? "\(round.build.rawValue) \(name)" : "\(round.build.rawValue) \(number)"
        if references[key] == nil {
            unlink(archive)
            let undisturbed = try await finish(context, "--no-cache", "-o", "type=oci,dest=\(archive)")
            try #require(undisturbed.status == 0, "\(undisturbed.testDescription)")
            references[key] = try await ImageContents(archive: archive)
        }
        try demand(
            contents == references[key],
            "the image has not the layers and settings of one to which nothing happened: \(contents) \(String(describing: references[key]))"
        )
    }

    /// No line is missing; none is there twice, unless the step was run twice.
    private func checkLines(_ result: CommandResult) throws {
        let wasTriedAgain = result.error.contains(": attempt ")
        for line in 1...FaultBuild.lines {
            let count = result.error.components(of: "line \(line) end")
            try demand(count == 1 || wasTriedAgain && count > 1, "line \(line) came \(count) times: \(result.testDescription)")
        }
    }

    /// Looks at the volumes from any agent: they are whole, and have what was left there.
    private func look(_ round: FaultRound, _ name: String, _ results: [CommandResult]) async throws {
        for target in round.build.volumes {
            if results.contains(where: { Self.hasLostHead($0.error) }) { left[target] = [] }
            for number in results.indices { left[target, default: []].insert("done-\(name)-\(number)") }
            let context = try TemporaryFolder()
            defer { context.remove() }
            try context.write(
                """
                FROM busybox
                RUN --mount=type=cache,target=\(target),sharing=locked : \(marker); cd \(target) && \(FaultBuild.check) && ls

                """, to: "Dockerfile")
            let agent = farm.agents[(round.victim + 1) % farm.agents.count].name
            let looked = try await finish(context, "--no-cache", "--require", "name=\(agent)")
            try demand(looked.status == 0, "\(looked.testDescription)")
            if Self.hasLostHead(looked.error) {
                try demand(
                    round.fault.takesAgentsAway, "all agents are there, and one has the newest generation: \(looked.testDescription)")
                left[target] = []
            }
            for file in left[target, default: []] where !looked.error.contains(file) {
                throw RoundFailure(description: "\(target) has lost \(file) without a word: \(looked.testDescription)")
            }
        }
    }

    /// The build says that it goes on with less than the newest generation.
    private static func hasLostHead(_ log: String) -> Bool { log.contains("it starts empty") || log.contains(" is used") }
}

/// What is not as it must be after a round.
struct RoundFailure: Error, CustomStringConvertible { var description: String }

/// Ends the round where the condition does not hold.
func demand(_ condition: Bool, _ text: @autoclosure () -> String) throws {
    guard condition else { throw RoundFailure(description: text()) }
}

extension String {
    /// How often a text occurs.
    func components(of text: String) -> Int {
        var count = 0
        var rest = self[...]
        while let found = rest.firstRange(of: text) {
            count += 1
            rest = rest[found.upperBound...]
        }
        return count
    }
}
