import BlockingIO
import BuildPlan
import Digests
import Glibc

/// Makes a ``ContextTree`` of a directory: walks and hashes with several threads.
///
/// Symlinks are taken as they are and never followed; sockets are left out; a device node or a file that can't be read is an error that
/// names it. With an index, an unchanged file costs one stat.
public struct ContextScanner: Sendable {
    /// A disk answers several at once; more than this gains nothing.
    private static let threadLimit = 16
    /// A file of this size or more is hashed by whichever thread is free.
    private static let largeFile: Int64 = 1 << 20
    /// How often a file that changes while it is hashed is tried again.
    private static let attempts = 3
    /// What is left out of the tree.
    public var ignore: IgnorePatterns
    /// Where the index is kept; nil for none. Its directory must exist.
    public var index: [UInt8]?

    /// A file that changed less than this before the scan, in nanoseconds, may change again without a new time: two clock ticks of the
    /// coarsest file systems (FAT: 2 s).
    var settlingTime: Int64 = 2_000_000_000

    public init(ignore: IgnorePatterns = IgnorePatterns(), index: [UInt8]? = nil) {
        self.ignore = ignore
        self.index = index
    }

    /// Scans the tree below `root`. Blocks.
    public func scan(root: [UInt8]) throws -> ContextTree {
        let directory = try FileDescriptor(root, flags: O_RDONLY | O_DIRECTORY)
        let known = index.map { ScanIndex(path: $0) } ?? ScanIndex()
        let settled = Self.now() - settlingTime
        let rootNode = ScanNode(path: [], name: [], parent: nil, isKept: true)
        let queue = Monitor(ScanQueue(root: rootNode))
        let workers = Monitor<[ScanWorker]>([])
        let processors = max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))
        try withThreads(min(Self.threadLimit, 2 * processors)) { _ in
            var worker = ScanWorker(root: directory, ignore: ignore, known: known, largeFile: Self.largeFile, attempts: Self.attempts)
            do {
                while let job = queue.wait({ $0.take() }).job {
                    let found = try worker.run(job)
                    if queue.withLock({ $0.finish(adding: found) }) { queue.broadcast() }
                }
            } catch {
                queue.withLock { $0.abort() }
                queue.broadcast()
                throw error
            }
            let done = worker
            workers.withLock { $0.append(done) }
        }
        let done = workers.withLock { $0 }
        let tree = ScanResult(nodes: queue.withLock { $0.nodes }, workers: done).tree(directory: directory)
        if let index { Self.save(done, known: known, settled: settled, to: index) }
        return tree
    }

    private static func save(_ workers: [ScanWorker], known: ScanIndex, settled: Int64, to path: [UInt8]) {
        let isNew = workers.contains { $0.hashedCount > 0 } || workers.reduce(0, { $0 + $1.seen.count }) != known.count
        guard isNew else { return }
        // Without an index the next scan is slower and nothing else: a full disk must not fail the build here.
        try? ScanIndex.write(workers.flatMap(\.seen).filter { $0.changed < settled }, to: path)
    }

    private static func now() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}
