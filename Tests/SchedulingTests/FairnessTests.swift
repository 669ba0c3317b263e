import BuildPlan
import Testing

@testable import Scheduling

@Suite("Fair shares") struct FairnessTests {
    typealias C = Cluster

    private func stage(_ id: String, _ project: String, _ user: String = "u", build: String? = nil, priority: Int = 0) -> StageDemand {
        var stage = StageDemand(
            id: id, owner: StageOwner(project: project, user: user, build: build ?? "\(project)/\(user)", priority: priority),
            platform: C.amd64)
        stage.usualDuration = 10
        return stage
    }

    /// One slot, which each stage has for ten seconds: the order in which the stages come to run.
    private func order(_ scheduler: inout Scheduler, _ count: Int, slots: Int = 1) -> [String] {
        var order: [String] = []
        var running: [String] = []
        var now = 0.0
        while order.count < count {
            let placed = scheduler.placements(at: now).map(\.stage)
            order += placed
            running += placed
            now += 10
            if running.isEmpty, placed.isEmpty { break }
            for stage in running { scheduler.end(stage, now) }
            running = []
        }
        return Array(order.prefix(count))
    }

    private func single(_ policy: SchedulingPolicy = SchedulingPolicy()) -> Scheduler {
        Scheduler([C.agent("a", slots: 1)], policy: policy)
    }

    @Test func `two projects take turns, however long the queue of one is`() {
        var scheduler = single()
        for number in 0..<50 { scheduler.submit(stage("a\(number)", "a")) }
        for number in 0..<5 { scheduler.submit(stage("b\(number)", "b")) }
        #expect(order(&scheduler, 10).count { $0.hasPrefix("b") } == 5)
    }

    @Test func `a project with weight three gets three quarters`() {
        var policy = SchedulingPolicy()
        policy.weights = ["a": 3]
        var scheduler = single(policy)
        for number in 0..<40 { for project in ["a", "b"] { scheduler.submit(stage("\(project)\(number)", project)) } }
        #expect(order(&scheduler, 40).count { $0.hasPrefix("a") } == 30)
    }

    @Test func `users of a project take turns, and so do builds of a user`() {
        var scheduler = single()
        for number in 0..<20 { scheduler.submit(stage("x\(number)", "p", "anna", build: "large")) }
        for number in 0..<4 { scheduler.submit(stage("y\(number)", "p", "anna", build: "small")) }
        for number in 0..<8 { scheduler.submit(stage("z\(number)", "p", "bert")) }
        let first = order(&scheduler, 16)
        #expect(first.count { $0.hasPrefix("z") } == 8)
        #expect(first.count { $0.hasPrefix("y") } == 4)
    }

    @Test func `a user with weight three gets three quarters of a project, and takes nothing from other projects`() {
        var policy = SchedulingPolicy()
        policy.userWeights = ["anna": 3]
        var scheduler = single(policy)
        for number in 0..<40 {
            scheduler.submit(stage("x\(number)", "p", "anna"))
            scheduler.submit(stage("y\(number)", "p", "bert"))
            scheduler.submit(stage("z\(number)", "q", "carl"))
        }
        let first = order(&scheduler, 80)
        #expect(first.count { $0.hasPrefix("z") } == 40)
        #expect(first.count { $0.hasPrefix("x") } == 30)
    }

    @Test func `a build of priority one gets twice as much as the user's others, and takes nothing from other projects`() {
        var scheduler = single()
        for number in 0..<40 {
            scheduler.submit(stage("h\(number)", "p", build: "high", priority: 1))
            scheduler.submit(stage("l\(number)", "p", build: "low"))
            scheduler.submit(stage("o\(number)", "other"))
        }
        let first = order(&scheduler, 60)
        #expect(first.count { $0.hasPrefix("o") } == 30)
        #expect((19...21).contains(first.count { $0.hasPrefix("h") }))
    }

    @Test func `who was away gets the present level, no more`() {
        var scheduler = single()
        for number in 0..<60 { scheduler.submit(stage("a\(number)", "a")) }
        _ = order(&scheduler, 30)
        for number in 0..<30 { scheduler.submit(stage("b\(number)", "b")) }
        #expect((9...11).contains(order(&scheduler, 20).count { $0.hasPrefix("b") }))
    }

    @Test func `long stages are charged for what they took`() {
        var scheduler = single()
        for number in 0..<30 { for project in ["a", "b"] { scheduler.submit(stage("\(project)\(number)", project)) } }
        var now = 0.0
        var time = ["a": 0.0, "b": 0.0]
        for _ in 0..<30 {
            guard let stage = scheduler.placements(at: now).first?.stage else { break }
            // All are thought to take ten; those of a take forty.
            let took = stage.hasPrefix("a") ? 40.0 : 10
            now += took
            time[String(stage.prefix(1)), default: 0] += took
            scheduler.end(stage, now)
        }
        let (a, b) = (time["a"] ?? 0, time["b"] ?? 0)
        #expect(abs(a - b) <= 50)
    }

    @Test func `a project at its limit leaves slots to others, and goes on when one of its stages ends`() {
        var policy = SchedulingPolicy()
        policy.limits = ["a": 2]
        policy.defaultLimit = 3
        var scheduler = Scheduler([C.agent("x", slots: 10)], policy: policy)
        for number in 0..<5 { for project in ["a", "b"] { scheduler.submit(stage("\(project)\(number)", project)) } }
        let placed = scheduler.placements().map(\.stage)
        #expect(placed.count { $0.hasPrefix("a") } == 2)
        #expect(placed.count { $0.hasPrefix("b") } == 3)
        scheduler.end("a0", 1)
        #expect(scheduler.placements(at: 1).map(\.stage) == ["a2"])
        // One that waits for an agent counts; one that is withdrawn does not.
        scheduler.withdraw("a1")
        #expect(scheduler.placements(at: 1).map(\.stage) == ["a3"])
    }

    /// The bound: with n projects that always have work, one's next stage begins after at most the others' one stage each, and what was
    /// begun before.
    @Test(arguments: [2, 5, 20]) func `nobody waits for more than a stage of each other project`(projects: Int) {
        var scheduler = single()
        for number in 0..<200 { for project in 1..<projects { scheduler.submit(stage("\(project)/\(number)", "\(project)")) } }
        _ = order(&scheduler, 57)
        scheduler.submit(stage("late", "0"))
        let position = order(&scheduler, projects + 1).firstIndex(of: "late")
        #expect(position != nil)
    }
}
