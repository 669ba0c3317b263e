import CLinux
import FarmAPI
import Glibc
import Testing
import TreeSync

@testable import Volumes

/// What a step left is what the next step finds, on whatever agent it runs: compared by ``TreeDump``.
@Suite(.enabled(if: geteuid() == 0, "needs root"), .timeLimit(.minutes(5)))
struct FidelityTests {
    let key = VolumeKey.test()

    /// Seeds of one run; more by `FARM_FUZZ_ROUNDS`.
    static let seeds = 0..<(getenv("FARM_FUZZ_ROUNDS").flatMap { UInt64(String(cString: $0)) } ?? 6)

    @Test(arguments: seeds) func `whatever happens to a volume, the next agent mounts what the last step left`(seed: UInt64) async throws {
        try await TestFarm.with { farm in
            var agents: [TestAgent] = []
            for name in ["one", "two", "three"] { agents.append(try await farm.agent(name)) }
            var random = RandomChanges.Seeded(state: seed &* 1000)
            var expected: TreeDump?
            var earlier: TreeDump?
            func check(_ path: String, _ what: String) throws {
                let now = try TreeDump(path)
                if let expected, let difference = now.difference(from: expected, orDirectoryTimesOf: earlier) {
                    Issue.record("seed \(seed), \(what):\n\(difference)")
                    throw CancellationError()
                }
                earlier = now
                if expected == nil { expected = now }
            }
            for round in 0..<10 {
                let agent = agents[Int.random(in: 0..<3, using: &random)]
                let changes = Int.random(in: 0..<15, using: &random)
                if round % 4 == 3 {
                    // Two agents at the same time, each in its own folder.
                    let other = agents[(agents.firstIndex { $0 === agent } ?? 0) == 0 ? 1 : 0]
                    let a = try await agent.service.acquire([VolumeRequest(key: key, sharing: .shared)], assignment: "a", lock: "a\(round)")
                    let b = try await other.service.acquire([VolumeRequest(key: key, sharing: .shared)], assignment: "b", lock: "b\(round)")
                    try check(a.paths[0], "round \(round) on \(agent.name)")
                    try check(b.paths[0], "round \(round) on \(other.name)")
                    var left = RandomChanges(seed: random.next(), root: a.paths[0], part: "left")
                    var right = RandomChanges(seed: random.next(), root: b.paths[0], part: "right")
                    left.make(changes)
                    right.make(changes)
                    let (ours, theirs) = (try TreeDump(a.paths[0]), try TreeDump(b.paths[0]))
                    try await other.service.release(b)
                    try await agent.service.release(a)
                    // The later one wins where both have changed something: the root's own time.
                    expected = ours
                    expected?.replace("right", by: theirs)
                    expected?.nodes[Array("right".utf8)] = theirs.nodes[Array("right".utf8)]
                    earlier = theirs
                    continue
                }
                try await agent.step(key) { path in
                    try check(path, "round \(round) on \(agent.name)")
                    var change = RandomChanges(seed: random.next(), root: path)
                    change.make(changes)
                    expected = try TreeDump(path)
                }
                if let snapshot = agent.store.snapshot(of: key) {
                    // People and quotas go by the sums, which are kept by what each step changes.
                    #expect(snapshot.totals == VolumeTotals(of: try snapshot.manifest()))
                }
                if Int.random(in: 0..<3, using: &random) == 0 { await agent.service.settle() }
            }
            for agent in agents { try await agent.step(key) { try check($0, "at the end on \(agent.name)") } }
            for agent in agents { await agent.stop() }
        }
    }

    /// A step on one agent, then the same tree on another one and, after merging, on a third.
    private func follows(_ make: (String) throws -> Void, then change: ((String) throws -> Void)? = nil) async throws {
        try await TestFarm.with { farm in
            let (one, two, three) = (try await farm.agent("one"), try await farm.agent("two"), try await farm.agent("three"))
            var expected: TreeDump?
            func check(_ path: String) throws {
                let now = try TreeDump(path)
                if let expected { #expect(now.difference(from: expected, orDirectoryTimesOf: expected) == nil) }
            }
            try await one.step(key) { path in
                try make(path)
                expected = try TreeDump(path)
            }
            try await two.step(key, check)
            if let change {
                try await two.step(key) { path in
                    try change(path)
                    expected = try TreeDump(path)
                }
                try await one.step(key, check)
            }
            try await three.step(key, check)
            for agent in [one, two, three] { await agent.stop() }
        }
    }

    @Test func `hard links come and go one by one`() async throws {
        try await follows {
            try shell("echo 1 > a; ln a b; ln a c; mkdir d; ln a d/e; : > empty; ln empty void; echo 2 > x; ln x y", in: $0)
        } then: {
            try shell("echo changed > b.new; mv b.new b; ln c f; rm d/e; ln void third; rm x; cp -p y z", in: $0)
        }
    }

    @Test func `hard links that two agents make at the same time are different files`() async throws {
        try await TestFarm.with { farm in
            let (one, two, three) = (try await farm.agent("one"), try await farm.agent("two"), try await farm.agent("three"))
            try await one.step(key) { try shell("echo 0 > f", in: $0) }
            try await two.step(key)
            let a = try await one.service.acquire([VolumeRequest(key: key, sharing: .shared)], assignment: "a", lock: "a")
            let b = try await two.service.acquire([VolumeRequest(key: key, sharing: .shared)], assignment: "b", lock: "b")
            try shell("echo one > a1; ln a1 a2; touch -d @7 a1", in: a.paths[0])
            try shell("echo two > b1; ln b1 b2; touch -d @7 b1", in: b.paths[0])
            try await one.service.release(a)
            try await two.service.release(b)
            for agent in [three, one, two] {
                try await agent.step(key) {
                    try shell(
                        "test $(cat a2) = one; test $(cat b2) = two; test a1 -ef a2; test b1 -ef b2; test ! a1 -ef b1; test $(ls | wc -l) = 5",
                        in: $0)
                }
            }
            for agent in [one, two, three] { await agent.stop() }
        }
    }

    @Test func `directories as deep as a path may be long follow, and what is deeper is left out`() async throws {
        try await TestFarm.with { farm in
            let (one, two) = (try await farm.agent("one"), try await farm.agent("two"))
            try await one.step(key) { path in
                // 1,023 names of three letters, then one of four: a path of 4,096 bytes.
                try nest(1023, below: path) { directory in
                    try #require(openat(directory, "zzzz", O_CREAT | O_WRONLY | O_CLOEXEC, 0o600).closed)
                    try #require(openat(directory, "toolg", O_CREAT | O_WRONLY | O_CLOEXEC, 0o600).closed)
                    try #require(mkdirat(directory, "toodeep", 0o700) == 0)
                }
                try shell("echo 1 > beside", in: path)
            }
            try await two.step(key) { path in
                try nest(1023, below: path, making: false) { directory in
                    #expect(faccessat(directory, "zzzz", F_OK, 0) == 0)
                    #expect(faccessat(directory, "toolg", F_OK, 0) != 0)
                    #expect(faccessat(directory, "toodeep", F_OK, 0) != 0)
                }
                try shell("test -e beside", in: path)
            }
            // And all of it goes again.
            try await two.step(key) { try shell("rm -r ddd", in: $0) }
            try await one.step(key) { try shell("test ! -e ddd; test -e beside", in: $0) }
            for agent in [one, two] { await agent.stop() }
        }
    }

    /// Calls the body with the innermost of so many directories `ddd`.
    private func nest(_ depth: Int, below path: String, making: Bool = true, _ body: (Int32) throws -> Void) throws {
        var directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        for _ in 0..<depth {
            if making { mkdirat(directory, "ddd", 0o755) }
            let next = openat(directory, "ddd", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
            close(directory)
            directory = next
        }
        try #require(directory >= 0)
        defer { close(directory) }
        try body(directory)
    }

    @Test func `directories that are nested for ever neither end the agent nor stay`() async throws {
        try await TestFarm.with { farm in
            let one = try await farm.agent("one")
            try await one.step(key) { path in
                try nest(3000, below: path) { _ in }
                try shell("echo 1 > beside", in: path)
            }
            try await one.step(key) { try shell("test -e beside; test -d ddd/ddd/ddd", in: $0) }
            await one.service.drop(key)
            try await untilGone(one.store.directory(of: key))
            await one.stop()
        }
    }
}

extension Int32 {
    /// Closes a descriptor; false if it is none.
    fileprivate var closed: Bool { close(self) == 0 }
}
