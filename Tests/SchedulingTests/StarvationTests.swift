import BuildPlan
import Testing

@testable import Scheduling

/// The bound that docs/operating.md states.
@Suite("Nobody waits for ever") struct StarvationTests {
    typealias C = Cluster

    private func stage(
        _ id: String, _ project: String = "p", _ user: String = "u", build: String, priority: Int = 0, _ duration: Double? = 10
    ) -> StageDemand {
        var stage = StageDemand(
            id: id, owner: StageOwner(project: project, user: user, build: build, priority: priority), platform: C.amd64)
        stage.usualDuration = duration
        return stage
    }

    @Test(arguments: [0, 3]) func `an endless row of new builds does not keep a build from its second stage`(priority: Int) {
        var scheduler = Scheduler([C.agent("a", slots: 1)])
        for number in 0..<2 { scheduler.submit(stage("patient \(number)", build: "patient")) }
        var ran: [String] = []
        for number in 0..<200 where !ran.contains("patient 1") {
            // There are always three that wait, each of a build of its own.
            for other in 0..<(number == 0 ? 3 : 1) {
                scheduler.submit(stage("new \(number)/\(other)", build: "new \(number)/\(other)", priority: priority))
            }
            for (stage, _) in scheduler.placements(at: Double(number) * 10) {
                ran.append(stage)
                scheduler.end(stage, Double(number + 1) * 10)
            }
        }
        // W/w + W + n of the stated bound, twice: for each of its two stages.
        let weight = Double(1 << priority)
        let most = 2 * (2 * (3 * weight + 1) + 4)
        #expect(ran.contains("patient 1") && Double(ran.count) <= most, "\(ran.count)")
    }

    @Test func `those who wait for one agent take turns there, however many one of them sends`() {
        // The free slot is nobody's who wants the other agent, and has everybody get in its line at once.
        var scheduler = Scheduler([C.agent("a", slots: 1), C.agent("b", slots: 1)])
        func wanted(_ id: String, _ project: String, priority: Int = 0) -> StageDemand {
            var stage = stage(id, project, build: project + "\(priority)", priority: priority)
            stage.require = ["name": "a"]
            return stage
        }
        for number in 0..<100 { scheduler.submit(wanted("flood \(number)", "flood")) }
        var running = scheduler.placements(at: 0).map(\.stage)
        scheduler.submit(wanted("late", "other"))
        scheduler.submit(wanted("urgent", "flood", priority: 3))
        var order = running
        for turn in 1..<6 {
            _ = scheduler.placements(at: Double(turn) * 10 - 5)
            for stage in running { scheduler.end(stage, Double(turn) * 10) }
            running = scheduler.placements(at: Double(turn) * 10).map(\.stage)
            order += running
        }
        #expect(order.prefix(4).contains("late") && order.prefix(4).contains("urgent"), "\(order)")
        #expect(order.count == 6)
    }

    @Test func `a large stage that waits for an agent is not passed by smaller ones for ever`() {
        var scheduler = Scheduler([C.agent("a", slots: 8) { $0.cpus = 4 }])
        func sized(_ id: String, _ project: String, _ cpus: Double) -> StageDemand {
            var stage = stage(id, project, build: project)
            stage.cpus = cpus
            return stage
        }
        for number in 0..<3 { scheduler.submit(sized("small \(number)", "small", 1)) }
        var running: [(stage: String, end: Double)] = []
        var next = 3
        var begun: Double?
        for second in 0..<400 where begun == nil {
            let now = Double(second)
            for (stage, end) in running where end <= now { scheduler.end(stage, end) }
            running.removeAll { $0.end <= now }
            if second == 5 { scheduler.submit(sized("large", "large", 4)) }
            // Always another small one, that would fit.
            if second % 2 == 0 {
                scheduler.submit(sized("small \(next)", "small", 1))
                next += 1
            }
            for (stage, _) in scheduler.placements(at: now) {
                if stage == "large" { begun = now }
                running.append((stage, now + 10))
            }
        }
        #expect((begun ?? .infinity) <= 60, "\(begun ?? -1)")
    }

    /// Owners, weights, priorities, slots and lengths from a seed; everybody always has something that waits.
    private struct Crowd {
        static let longest = 20.0
        var random: Seeded
        var policy = SchedulingPolicy()
        var scheduler = Scheduler()
        var slots = 0
        let knowsDurations: Bool
        let projects: Int
        let users: Int
        let buildsAtOnce: Int
        var builds = 0
        var waiting: [String: (owner: StageOwner, left: Int, since: Double)] = [:]
        var running: [(stage: String, end: Double)] = []
        var now = 0.0
        var worst = 0.0
        var placed = 0

        init(seed: Int, knowsDurations: Bool) {
            random = Seeded(state: UInt64(seed))
            self.knowsDurations = knowsDurations
            projects = Int.random(in: 1...3, using: &random)
            users = Int.random(in: 1...3, using: &random)
            buildsAtOnce = Int.random(in: 1...4, using: &random)
            for number in 0..<projects { policy.weights["p\(number)"] = Double.random(in: 0.5...3, using: &random) }
            for number in 0..<users { policy.userWeights["u\(number)"] = Double.random(in: 0.5...3, using: &random) }
            scheduler = Scheduler(policy: policy)
            for number in 0..<Int.random(in: 1...3, using: &random) {
                let agent = C.agent("a\(number)", slots: Int.random(in: 1...3, using: &random))
                slots += agent.slots
                scheduler.put(agent)
            }
        }

        /// As docs/operating.md has it, seconds.
        func bound(of owner: StageOwner) -> Double {
            let projectWeights = (0..<projects).map { policy.weight(of: "p\($0)") }
            // A user's builds have priorities from -1 to 1: its own weight is at least half, the others' at most twice theirs.
            let userWeights = (0..<users).map { policy.weight(ofUser: "u\($0)") * 2 }
            let ofUser = policy.weight(ofUser: owner.user) / 2
            let buildWeights = Double(buildsAtOnce) * 2
            let ofBuild = owner.priority >= 0 ? Double(1 << owner.priority) : 0.5
            let turns =
                (projectWeights.reduce(0, +) / policy.weight(of: owner.project) + Double(projects) - 1)
                * (userWeights.reduce(0, +) / ofUser + Double(users) - 1)
                * (buildWeights / ofBuild + buildWeights + Double(buildsAtOnce))
            return Self.longest * (turns / (knowsDurations ? Double(slots) : 1) + 2)
        }

        mutating func refill() {
            for project in 0..<projects {
                for user in 0..<users {
                    var own = waiting.values.count { $0.owner.project == "p\(project)" && $0.owner.user == "u\(user)" }
                    while own < buildsAtOnce {
                        own += 1
                        builds += 1
                        let owner = StageOwner(
                            project: "p\(project)", user: "u\(user)", build: "b\(builds)",
                            priority: Int.random(in: -1...1, using: &random))
                        let count = Int.random(in: 1...5, using: &random)
                        for number in 0..<count {
                            var stage = StageDemand(id: "b\(builds)-\(number)", owner: owner, platform: C.amd64)
                            stage.usualDuration = Double.random(in: 1...Self.longest, using: &random)
                            scheduler.submit(stage)
                            lengths[stage.id] = knowsDurations ? stage.usualDuration : Double.random(in: 1...Self.longest, using: &random)
                        }
                        waiting["b\(builds)"] = (owner, count, now)
                    }
                }
            }
        }

        var lengths: [String: Double] = [:]

        mutating func step() {
            refill()
            for (stage, agent) in scheduler.placements(at: now) {
                _ = agent
                placed += 1
                running.append((stage, now + (lengths.removeValue(forKey: stage) ?? 0)))
                let build = String(stage.prefix { $0 != "-" })
                guard let (owner, left, since) = waiting[build] else { continue }
                worst = max(worst, (now - since) / bound(of: owner))
                waiting[build] = left > 1 ? (owner, left - 1, now) : nil
            }
            guard let next = running.map(\.end).min() else { return }
            now = next
            for (stage, end) in running where end <= now { scheduler.end(stage, end) }
            running.removeAll { $0.end <= now }
        }
    }

    @Test(arguments: 0..<60) func `the next stage of a build begins within the stated bound`(seed: Int) {
        for knowsDurations in [true, false] {
            var crowd = Crowd(seed: seed, knowsDurations: knowsDurations)
            while crowd.placed < 600 { crowd.step() }
            // Those that wait still count too.
            for (owner, _, since) in crowd.waiting.values { crowd.worst = max(crowd.worst, (crowd.now - since) / crowd.bound(of: owner)) }
            #expect(crowd.worst <= 1, "\(crowd.worst) of the bound")
        }
    }
}
