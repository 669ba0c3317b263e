import Glibc
import Synchronization

/// How full a file system is.
struct DiskSpace: Sendable, Equatable {
    /// Bytes that files take.
    var used: Int64
    /// Bytes that everybody may still take.
    var available: Int64
    /// Bytes that root may still take: more than `available` where the file system keeps a reserve.
    var free: Int64
    /// Names that may still be made; nil where the file system does not count them.
    var freeNames: Int64?

    /// Steps run as root: what they can't write any more is not written at all. Less than a process writes at once.
    private static let fullBytes: Int64 = 16 << 20

    /// Whether a write fails for it, or soon will.
    var isFull: Bool { free < Self.fullBytes || freeNames.map { $0 == 0 } ?? false }

    /// Nil where the path is no more.
    init?(of path: String) {
        var info = statvfs()
        guard statvfs(path, &info) == 0 else { return nil }
        func bytes(_ blocks: some BinaryInteger) -> Int64 {
            let (product, overflow) = UInt64(blocks).multipliedReportingOverflow(by: UInt64(info.f_frsize))
            return overflow ? .max : Int64(clamping: product)
        }
        used = bytes(info.f_blocks - min(info.f_blocks, info.f_bfree))
        available = bytes(info.f_bavail)
        free = bytes(info.f_bfree)
        freeNames = info.f_files > 0 ? Int64(clamping: info.f_ffree) : nil
    }

    init(used: Int64, available: Int64, free: Int64, freeNames: Int64? = nil) {
        self.used = used
        self.available = available
        self.free = free
        self.freeNames = freeNames
    }
}

/// Notices that the agent's disk was full, also for a moment: a program that could not write often removes what it had written before it
/// says so.
final class DiskWatch: Sendable {
    /// A system call of a microsecond; a program needs longer to clean up.
    private static let interval = Duration.milliseconds(100)

    let path: String
    private let lastFull = Mutex<ContinuousClock.Instant?>(nil)
    private let wake: AsyncStream<Void>.Continuation
    /// An element for each time that the disk has become full, and for each ``alarm()``; several that nobody has taken are one.
    let alarms: AsyncStream<Void>

    init(path: String) {
        self.path = path
        (alarms, wake) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// Looks until the task is cancelled.
    func run() async {
        var wasFull = false
        while !Task.isCancelled {
            let isFull = look()
            if isFull, !wasFull { wake.yield() }
            wasFull = isFull
            try? await Task.sleep(for: Self.interval)
        }
    }

    /// Has those who wait for alarms look.
    func alarm() { wake.yield() }

    /// Whether the disk was full at some time since then, or is now.
    func wasFull(since time: ContinuousClock.Instant) -> Bool {
        look() || lastFull.withLock { $0.map { $0 >= time } ?? false }
    }

    private func look() -> Bool {
        guard DiskSpace(of: path)?.isFull == true else { return false }
        lastFull.withLock { $0 = .now }
        return true
    }
}
