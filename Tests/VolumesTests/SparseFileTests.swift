import FarmAPI
import Glibc
import Testing
import TreeSync

@testable import Volumes

/// Files that are mostly holes: what others could not take is not published, and what takes no room counts as none.
@Suite(.enabled(if: geteuid() == 0, "needs root"), .timeLimit(.minutes(5)))
struct SparseFileTests {
    let key = VolumeKey.test("sparse")

    /// Four files of 16 MiB.
    private var limited: VolumeSettings {
        var settings = VolumeSettings()
        settings.sparseLimit = 64 << 20
        return settings
    }

    private func acquire(_ agent: TestAgent) async throws -> VolumeLease {
        try await agent.service.acquire(
            [VolumeRequest(key: key, sharing: .shared)], assignment: "a", lock: "\(UInt64.random(in: .min ... .max))")
    }

    /// What a step with that script is told at its end.
    private func notes(_ agent: TestAgent, _ script: String) async throws -> [String] {
        let lease = try await acquire(agent)
        var failure: (any Error)?
        do { try shell(script, in: lease.paths[0]) } catch { failure = error }
        let notes = try await agent.service.release(lease)
        if let failure { throw failure }
        return notes
    }

    @Test func `more zeros than others take are not kept, and the rest of the volume is for everybody`() async throws {
        try await TestFarm.with { farm in
            let one = try await farm.agent("one", settings: limited)
            let two = try await farm.agent("two")
            var told = try await notes(one, "echo kept > f; echo old > e; truncate -s 16M a b")
            #expect(told.isEmpty, "\(told)")
            told = try await notes(one, "truncate -s 16M c d; truncate -s 16M e")
            #expect(told.count == 1 && told[0].contains("e") && told[0].contains("of holes"), "\(told)")
            let lease = try await two.step(key) { path in
                try shell("test $(stat -c %s d) = 16777216; cat f; test ! -e e; echo two > g", in: path)
            }
            #expect(lease.notes.isEmpty, "\(lease.notes)")
            // Who makes room has it.
            told = try await notes(one, "cat g; rm a; truncate -s 16M h")
            #expect(told.isEmpty, "\(told)")
            try await two.step(key) { try shell("test ! -e a; test -e h", in: $0) }
            await one.stop()
            await two.stop()
        }
    }

    @Test func `the names of one file count once, and are one file again elsewhere`() async throws {
        try await TestFarm.with { farm in
            let one = try await farm.agent("one", settings: limited)
            let two = try await farm.agent("two")
            let told = try await notes(
                one, "truncate -s 16M a; chown 5:6 a; chmod 604 a; for i in b c d e f; do ln a $i; done; head -c 9M /dev/zero > g; ln g h")
            #expect(told.isEmpty, "\(told)")
            #expect(try await notes(one, "truncate -s 16M other").isEmpty)
            try await two.step(key) { path in
                try shell("test \"$(stat -c '%h %u %a' a)\" = '6 5 604'; test a -ef f; test $(stat -c %h h) = 2; test -e other", in: path)
            }
            await one.stop()
            await two.stop()
        }
    }
}
