import Testing

@testable import FarmCoordinator

@Suite("Agents that fail often") struct AgentTroublesTests {
    private let policy = AgentTroubles.Policy()

    private func fail(
        _ troubles: inout AgentTroubles, _ agent: String, _ work: String?, at now: Double, mayGo: Bool = true
    ) -> Bool {
        troubles.failed(agent, work: work, reason: "its disk is full", now: now, policy, mayGo: mayGo)
    }

    @Test func `failures at different stages set an agent aside, with the last reason`() throws {
        var troubles = AgentTroubles()
        #expect(!fail(&troubles, "a", "one", at: 0))
        #expect(!fail(&troubles, "a", "two", at: 10))
        #expect(fail(&troubles, "a", "three", at: 20))
        let aside = try #require(troubles.aside("a"))
        #expect(aside.reason == "3 failures within 10 min, the last: its disk is full")
        #expect(aside.until == 20 + policy.pause && troubles.isSetAside("a"))
        #expect(troubles.aside("b") == nil)
    }

    @Test func `a stage that fails everywhere, or that nobody else has tried, counts against the stage`() {
        var troubles = AgentTroubles()
        for round in 0..<20 {
            for agent in ["a", "b", "c"] { #expect(!fail(&troubles, agent, "broken", at: Double(round))) }
        }
        for round in 0..<20 { #expect(!fail(&troubles, "d", "pinned", at: Double(round))) }
    }

    @Test func `a stage that another agent then ran counts each time`() {
        var troubles = AgentTroubles()
        for round in 0..<2 {
            #expect(!fail(&troubles, "a", "build", at: Double(round)))
            _ = troubles.ran("b", work: "build", now: Double(round), policy)
        }
        #expect(fail(&troubles, "a", "build", at: 3))
    }

    @Test func `old failures and those among many stages that went well do not count`() {
        var troubles = AgentTroubles()
        for number in 0..<10 { #expect(!fail(&troubles, "a", "\(number)", at: Double(number) * (policy.window / 2 + 1))) }
        troubles = AgentTroubles()
        for number in 0..<10 {
            #expect(!fail(&troubles, "a", "\(number)", at: Double(number)))
            for _ in 0..<policy.stagesForAFailure { _ = troubles.ran("a", work: "good", now: Double(number), policy) }
        }
    }

    @Test func `it is tried again, longer each time, and one stage that goes well is enough`() throws {
        var troubles = AgentTroubles()
        for _ in 0..<3 { _ = fail(&troubles, "a", nil, at: 0) }
        var now = 0.0
        for pause in [120.0, 240, 480, 960, 1920, 3600, 3600] {
            let early = troubles.expire(now: now + pause - 1)
            #expect(early.isEmpty && troubles.isSetAside("a"))
            now += pause
            let over = troubles.expire(now: now)
            #expect(over == ["a"] && !troubles.isSetAside("a"))
            #expect(troubles.aside("a")?.isOnTrial == true)
            #expect(fail(&troubles, "a", "other", at: now))
        }
        #expect(troubles.aside("a")?.reason == "it failed again when it was tried, the last: its disk is full")
        now += 3600
        _ = troubles.expire(now: now)
        let isBack = troubles.ran("a", work: "x", now: now, policy)
        #expect(isBack)
        #expect(troubles.aside("a") == nil)
        // It fails soon again: that is not the first time. Long after, it is.
        for _ in 0..<3 { _ = fail(&troubles, "a", nil, at: now + 60) }
        #expect(troubles.aside("a")?.until == now + 60 + policy.longestPause)
        troubles.clear("a")
        for _ in 0..<3 { _ = fail(&troubles, "a", nil, at: now + 100) }
        #expect(troubles.aside("a")?.until == now + 100 + policy.pause)
    }

    @Test func `the last one stays, and 0 sets nobody aside`() {
        var troubles = AgentTroubles()
        for number in 0..<9 { #expect(!fail(&troubles, "a", nil, at: Double(number), mayGo: false)) }
        #expect(fail(&troubles, "a", nil, at: 10))
        var never = policy
        never.failures = 0
        for number in 0..<9 {
            let isAside = troubles.failed("b", work: nil, reason: "lost", now: Double(number), never, mayGo: true)
            #expect(!isAside)
        }
    }
}
