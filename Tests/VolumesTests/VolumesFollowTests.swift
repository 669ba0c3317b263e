import CLinux
import FarmAPI
import Glibc
import Testing
import TreeSync

@testable import Volumes

@Suite(.enabled(if: geteuid() == 0, "needs root"), .timeLimit(.minutes(2)))
struct VolumesFollowTests {
    let key = VolumeKey.test()

    @Test func `a volume follows to another agent with everything a file system has`() async throws {
        try await TestFarm.with { farm in
            let one = try await farm.agent("one")
            let two = try await farm.agent("two")
            var before = ""
            try await one.step(key) { path in
                try shell(
                    """
                    mkdir -p d/e empty && echo hello > d/file && ln d/file d/e/hard && ln -s ../nowhere d/link && mkfifo pipe
                    chmod 4755 d/file; chown 12:34 d/e; chown -h 5:6 d/link; chmod 1777 empty; touch -d '2001-02-03 04:05:06.123456789' d/e/hard
                    printf 'x' > "$(printf 'bad\\377name')"; truncate -s 3M sparse; printf end >> sparse
                    touch zero; head -c 300000 /dev/urandom > big; touch -d '1969-12-31 23:59:58.5' old
                    """, in: path)
                #expect(clinux_lsetxattr("\(path)/d", "user.note", "hey", 3, 0) == 0)
                // cap_net_raw=ep, as revision 2 of the kernel's format.
                let capability: [UInt8] = [1, 0, 0, 2, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
                #expect(clinux_lsetxattr("\(path)/big", "security.capability", capability, capability.count, 0) == 0)
                before = try listing(path)
            }
            #expect(one.store.generation(of: key) == 1)
            try await two.step(key) { path in
                let now = try listing(path)
                #expect(now == before)
                #expect(attribute("user.note", of: "\(path)/d").map { String(decoding: $0, as: UTF8.self) } == "hey")
                #expect(attribute("security.capability", of: "\(path)/big")?.prefix(6) == [1, 0, 0, 2, 0, 32])
                var first = stat()
                var second = stat()
                stat("\(path)/d/file", &first)
                stat("\(path)/d/e/hard", &second)
                #expect(first.st_ino == second.st_ino)
                #expect(first.st_nlink == 2)
                stat("\(path)/sparse", &first)
                #expect(first.st_blocks * 512 < 1 << 20)
            }
            #expect(two.store.generation(of: key) == 1, "reading publishes nothing")
            #expect(await farm.coordinator.holders(key) == ["one": 1, "two": 1])
            await one.stop()
            await two.stop()
        }
    }

    @Test func `thousands of files that a step has changed are read together and told apart`() async throws {
        try await TestFarm.with { farm in
            let one = try await farm.agent("one")
            let two = try await farm.agent("two")
            try await one.step(key) { path in
                try shell(
                    "seq -w 30 | xargs -I@ mkdir -p d@; for i in $(seq 2500); do echo $i > d$((10 + i % 20))/f$i; done; ln d11/f1 d11/hard",
                    in: path)
            }
            try await two.step(key)
            let files = try #require(one.store.snapshot(of: key)?.totals.files)
            #expect(files == 1 + 30 + 2500 + 1)
            var expected = ""
            let generation = one.store.generation(of: key)
            // Copied up by a change that is none: nothing to publish.
            try await one.step(key) { try shell("chown 0:0 $(find . -type f -links 1)", in: $0) }
            #expect(one.store.generation(of: key) == generation)
            try await one.step(key) { path in
                try shell(
                    """
                    for f in d1[0-4]/f*; do echo more >> $f; done; touch d15/*; chmod 600 d16/*; rm d17/f?7*; mv d18 new
                    rm -r d19; echo file > d19; echo same-length > d20/x; for i in $(seq 1500); do echo $i > d21/new$i; done
                    cp --attributes-only -p d22/f12 time; echo 12 | dd of=d22/f12 conv=notrunc status=none; touch -r time d22/f12; rm time
                    """, in: path)
                #expect(clinux_lsetxattr("\(path)/d23/f13", "user.note", "hey", 3, 0) == 0)
                expected = try listing(path)
            }
            try await two.step(key) { path in
                let now = try listing(path)
                #expect(now == expected)
                #expect(attribute("user.note", of: "\(path)/d23/f13").map { String(decoding: $0, as: UTF8.self) } == "hey")
            }
            for agent in [one, two] {
                await agent.service.settle()
                let snapshot = try #require(agent.store.snapshot(of: key))
                #expect(try agent.store.check(snapshot).faults.isEmpty, "what \(agent.name) has on its disk is what its manifests say")
                #expect(snapshot.totals == VolumeTotals(of: try snapshot.manifest()))
                await agent.stop()
            }
        }
    }

    @Test func `only what changed moves`() async throws {
        try await TestFarm.with { farm in
            let one = try await farm.agent("one")
            let two = try await farm.agent("two")
            try await one.step(key) { try shell("for i in $(seq 200); do head -c 20000 /dev/urandom > f$i; done", in: $0) }
            let first = try await two.step(key)
            #expect(first.bytesReceived > 4_000_000)
            try await one.step(key) { try shell("head -c 1000 /dev/urandom > new; mv f7 moved; rm f8; chmod 600 f9", in: $0) }
            let second = try await two.step(key) { path in
                try shell("test -e new -a -e moved -a ! -e f7 -a ! -e f8; test $(ls | wc -l) = 200; test $(stat -c %a f9) = 600", in: path)
            }
            #expect(second.bytesReceived > 1000)
            #expect(second.bytesReceived < 2500, "the moved and the changed file are here already")
            let third = try await two.step(key)
            #expect(third.bytesReceived == 0)
            await one.stop()
            await two.stop()
        }
    }

    @Test func `a large file moves as its changed blocks`() async throws {
        try await TestFarm.with { farm in
            let one = try await farm.agent("one")
            let two = try await farm.agent("two")
            try await one.step(key) { try shell("head -c 8000000 /dev/urandom > big", in: $0) }
            try await two.step(key)
            var sum = ""
            try await one.step(key) { path in
                try shell(
                    "for i in 1 2 3 4; do printf change | dd of=big bs=1 seek=$((i*1500000)) conv=notrunc status=none; done", in: path)
                sum = try listing(path)
            }
            let second = try await two.step(key) { path in
                let now = try listing(path)
                #expect(now == sum)
            }
            #expect(second.bytesReceived < 50_000)
            await one.stop()
            await two.stop()
        }
    }

    @Test func `directories, files and deletions replace each other`() async throws {
        try await TestFarm.with { farm in
            let one = try await farm.agent("one")
            let two = try await farm.agent("two")
            try await one.step(key) {
                try shell(
                    "mkdir -p a/x/y b c; echo 1 > a/x/y/f; echo 2 > a/x/g; echo 3 > b/h; echo 4 > c/i; echo 5 > file; echo 6 > c/j", in: $0)
            }
            try await two.step(key)
            var expected = ""
            try await one.step(key) { path in
                // Opaque: removed and made again; a file where a directory was, and the other way round.
                try shell("rm -r a; mkdir a; echo new > a/x; rm file; mkdir file; echo in > file/in; rm -r c; echo c > c; rm b/h", in: path)
                expected = try listing(path)
            }
            try await two.step(key) { path in
                let now = try listing(path)
                #expect(now == expected)
            }
            // And back again, by one delta of two generations.
            try await one.step(key) { try shell("rm -r a; mkdir -p a/x/y; echo z > a/x/y/f", in: $0) }
            try await one.step(key) { path in
                try shell("rm c; mkdir c; echo j > c/j", in: path)
                expected = try listing(path)
            }
            try await two.step(key) { path in
                let now = try listing(path)
                #expect(now == expected)
            }
            #expect(two.store.generation(of: key) == 4)
            // Three generations came as two layers upon the first.
            #expect(two.store.layerCount(of: key) == 3)
            await one.stop()
            await two.stop()
        }
    }

    @Test func `both agents' additions are in the head when they share a volume at the same time`() async throws {
        try await TestFarm.with { farm in
            let one = try await farm.agent("one")
            let two = try await farm.agent("two")
            try await one.step(key) { try shell("mkdir d e; echo 0 > d/old; echo 0 > d/both; echo 1 > e/gone; echo 2 > e/kept", in: $0) }
            try await two.step(key)
            let a = try await one.service.acquire([VolumeRequest(key: key, sharing: .shared)], assignment: "a", lock: "a")
            let b = try await two.service.acquire([VolumeRequest(key: key, sharing: .shared)], assignment: "b", lock: "b")
            try shell("echo one > d/one; echo one > d/both; rm -r e", in: a.paths[0])
            try shell("echo two > d/two; echo two > d/both; rm d/old; echo new > e/new; echo 3 > e/kept", in: b.paths[0])
            try await two.service.release(b)
            try await one.service.release(a)
            #expect(await farm.coordinator.head(key) == 3)
            for agent in [two, one] {
                try await agent.step(key) { path in
                    try shell(
                        """
                        test $(cat d/one) = one; test $(cat d/two) = two; test $(cat d/both) = one; test ! -e d/old
                        test $(cat e/new) = new; test $(cat e/kept) = 3; test ! -e e/gone; test $(find . | wc -l) = 8
                        """, in: path)
                }
            }
            await one.stop()
            await two.stop()
        }
    }
}
