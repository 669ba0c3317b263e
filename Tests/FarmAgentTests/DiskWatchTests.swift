import Glibc
import Testing

@testable import FarmAgent

@Suite(.enabled(if: geteuid() == 0, "needs root"), .timeLimit(.minutes(1)))
struct DiskWatchTests {
    /// A small file system of its own.
    private func withDisk(megabytes: Int, _ body: (String) async throws -> Void) async throws {
        let path = "/tmp/farm-disk-\(getpid())-\(UInt32.random(in: 0 ... .max))"
        try #require(mkdir(path, 0o700) == 0)
        defer { rmdir(path) }
        try #require(mount("tmpfs", path, "tmpfs", 0, "size=\(megabytes)m") == 0)
        defer { umount2(path, Int32(MNT_DETACH)) }
        try await body(path)
    }

    private func fill(_ path: String, megabytes: Int) {
        let file = open(path, O_WRONLY | O_CREAT, 0o600)
        defer { close(file) }
        let block = [UInt8](repeating: 1, count: 1 << 20)
        for _ in 0..<megabytes where write(file, block, block.count) < block.count { return }
    }

    @Test func `a disk that was full for a moment is known to have been, and rings once`() async throws {
        try await withDisk(megabytes: 40) { path in
            let watch = DiskWatch(path: path)
            let looking = Task { await watch.run() }
            defer { looking.cancel() }
            let before = ContinuousClock.now
            #expect(!watch.wasFull(since: before))
            fill("\(path)/file", megabytes: 100)
            var alarms = watch.alarms.makeAsyncIterator()
            _ = await alarms.next()
            unlink("\(path)/file")
            #expect(watch.wasFull(since: before))
            #expect(!watch.wasFull(since: .now), "it is over")
        }
    }

    @Test func `half a disk is not full`() async throws {
        try await withDisk(megabytes: 40) { path in
            fill("\(path)/file", megabytes: 20)
            let space = try #require(DiskSpace(of: path))
            #expect(!space.isFull)
            #expect(space.used >= 20 << 20 && space.available <= 20 << 20)
        }
    }
}
