import BuildPlan
import FarmAPI
import Testing

@testable import FarmCoordinator

@Suite("Locks of volumes") struct VolumeLocksTests {
    private static func need(_ id: String, _ sharing: Sharing) -> AcquireVolumes.Need {
        AcquireVolumes.Need(key: VolumeKey(project: "p", id: id, platform: Make.platform), sharing: sharing)
    }

    private static func request(_ lock: String, _ needs: AcquireVolumes.Need...) -> VolumeLocks.Request {
        VolumeLocks.Request(lock: lock, assignment: "of \(lock)", agent: "a", needs: needs)
    }

    @Test func `locked excludes everyone, shared bears shared`() {
        var locks = VolumeLocks()
        #expect(locks.ask(Self.request("1", Self.need("v", .shared))).map(\.lock) == ["1"])
        #expect(locks.ask(Self.request("2", Self.need("v", .shared))).map(\.lock) == ["2"])
        #expect(locks.ask(Self.request("3", Self.need("v", .locked))).isEmpty)
        // It came after one that waits: nobody overtakes.
        #expect(locks.ask(Self.request("4", Self.need("v", .shared))).isEmpty)
        #expect(locks.release("1").isEmpty)
        #expect(locks.release("2").map(\.lock) == ["3"])
        #expect(locks.release("3").map(\.lock) == ["4"])
    }

    @Test func `a volume is in use until the last that has it or waits for it has gone`() {
        let known = Self.request("1", Self.need("v", .locked), Self.need("v", .shared), Self.need("w", .shared))
        var locks = VolumeLocks(granted: [known])
        let (v, w) = (Self.need("v", .shared).key, Self.need("w", .shared).key)
        #expect(locks.ask(known).isEmpty, "it has it already")
        #expect(locks.isInUse(v) && locks.isInUse(w))
        #expect(locks.ask(Self.request("2", Self.need("v", .locked))).isEmpty)
        #expect(locks.release("1").map(\.lock) == ["2"])
        #expect(locks.isInUse(v) && !locks.isInUse(w))
        #expect(locks.ask(Self.request("3", Self.need("v", .locked))).isEmpty)
        #expect(locks.release("3").isEmpty)
        #expect(locks.isInUse(v))
        #expect(locks.release("3").isEmpty, "it is gone")
        #expect(locks.isInUse(v) && locks.isInUse(v, by: "a") && !locks.isInUse(v, by: "b"))
        #expect(locks.release("2").isEmpty)
        #expect(!locks.isInUse(v) && !locks.isInUse(v, by: "a"))
    }

    @Test func `A,B and B,A do not wait for each other`() {
        var locks = VolumeLocks()
        #expect(locks.ask(Self.request("1", Self.need("a", .locked), Self.need("b", .locked))).count == 1)
        #expect(locks.ask(Self.request("2", Self.need("b", .locked), Self.need("a", .locked))).isEmpty)
        #expect(locks.release("1").map(\.lock) == ["2"])
    }

    @Test func `private never waits: the second gets a fork, which is in nobody's way`() {
        var locks = VolumeLocks()
        #expect(locks.ask(Self.request("1", Self.need("v", .private))).map(\.forks) == [[false]])
        #expect(locks.ask(Self.request("2", Self.need("v", .private))).map(\.forks) == [[true]])
        #expect(locks.ask(Self.request("3", Self.need("v", .locked))).isEmpty)
        #expect(locks.release("1").map(\.lock) == ["3"])
        #expect(locks.ask(Self.request("4", Self.need("v", .private))).map(\.forks) == [[true]])
    }

    @Test func `a volume that is mounted twice in a step is one lock in its strictest mode`() {
        var locks = VolumeLocks()
        #expect(locks.ask(Self.request("1", Self.need("v", .locked), Self.need("v", .shared))).count == 1)
        #expect(locks.ask(Self.request("2", Self.need("v", .shared))).isEmpty)
    }

    @Test func `the same lock again is the same request`() {
        var locks = VolumeLocks()
        #expect(locks.ask(Self.request("1", Self.need("v", .locked))).count == 1)
        #expect(locks.ask(Self.request("1", Self.need("v", .locked))).isEmpty)
        #expect(locks.ask(Self.request("2", Self.need("v", .locked))).isEmpty)
        #expect(locks.ask(Self.request("2", Self.need("v", .locked))).isEmpty)
        #expect(locks.release("1").map(\.lock) == ["2"])
        #expect(locks.release("2").isEmpty)
        #expect(!locks.isInUse(Self.need("v", .shared).key))
    }

    /// A small generator, so that a failing history can be had again by its seed.
    private struct Seeded: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var z = state
            z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
            z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
            return z ^ (z >> 31)
        }
    }

    @Test(arguments: 0..<40) func `in any history locks exclude, nobody overtakes and nobody starves`(seed: Int) {
        var random = Seeded(state: UInt64(seed))
        var locks = VolumeLocks()
        var held: [String: VolumeLocks.Request] = [:]
        var waiting: [VolumeLocks.Request] = []
        var number = 0

        func take(_ granted: [VolumeLocks.Request]) {
            for request in granted {
                // Nobody who came earlier, still waits and wants the same volume exclusively or for this one's exclusion was passed.
                let position = waiting.firstIndex { $0.lock == request.lock }
                #expect(position != nil)
                for earlier in waiting.prefix(position ?? 0) where !granted.contains(where: { $0.lock == earlier.lock }) {
                    for (mine, fork) in zip(request.needs, request.forks) where !fork {
                        for theirs in earlier.needs where theirs.key == mine.key {
                            #expect(theirs.sharing == .shared && mine.sharing == .shared)
                        }
                    }
                }
            }
            for request in granted {
                waiting.removeAll { $0.lock == request.lock }
                held[request.lock] = request
            }
            var users: [VolumeKey: [Sharing]] = [:]
            for request in held.values {
                // A volume that a step mounts twice counts once.
                var own: [VolumeKey: Sharing] = [:]
                for (need, fork) in zip(request.needs, request.forks) where !fork {
                    if own[need.key] != .locked { own[need.key] = need.sharing }
                }
                for (key, mode) in own { users[key, default: []].append(mode) }
            }
            for modes in users.values where modes.contains(where: { $0 != .shared }) { #expect(modes.count == 1) }
        }

        for _ in 0..<400 {
            if held.isEmpty && waiting.isEmpty || Int.random(in: 0..<5, using: &random) < 3 {
                number += 1
                let needs = (0..<Int.random(in: 1...3, using: &random)).map { _ in
                    Self.need(
                        ["a", "b", "c", "d"].randomElement(using: &random) ?? "a",
                        [.shared, .locked, .private].randomElement(using: &random) ?? .shared)
                }
                let request = VolumeLocks.Request(lock: "\(number)", assignment: "x\(number % 7)", agent: "a", needs: needs)
                waiting.append(request)
                take(locks.ask(request))
            } else if let lock = (held.keys.sorted() + waiting.map(\.lock)).randomElement(using: &random) {
                held[lock] = nil
                waiting.removeAll { $0.lock == lock }
                take(locks.release(lock))
            }
            // Work goes on: with nothing held, nothing waits.
            #expect(!held.isEmpty || waiting.isEmpty)
        }
        while let lock = held.keys.sorted().first {
            held[lock] = nil
            take(locks.release(lock))
        }
        #expect(waiting.isEmpty)
    }
}
