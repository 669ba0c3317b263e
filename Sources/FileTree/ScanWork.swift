import Digests
import Glibc

/// A directory during a scan.
///
/// `@unchecked Sendable`: only the thread that lists the directory changes it, before it tells the queue that it has finished; all others read
/// it after they have heard so from the queue.
final class ScanNode: @unchecked Sendable {
    /// Relative to the root.
    let path: [UInt8]
    let name: [UInt8]
    let parent: ScanNode?
    /// False for an excluded directory that counts only if something in it is taken in again.
    let isKept: Bool
    var status: FileStatus?
    var files: [ScanFile] = []
    /// Symlinks and fifos.
    var others: [TreeEntry] = []

    init(path: [UInt8], name: [UInt8], parent: ScanNode?, isKept: Bool) {
        self.path = path
        self.name = name
        self.parent = parent
        self.isKept = isKept
    }
}

/// A regular file during a scan.
struct ScanFile {
    var name: [UInt8]
    var status: FileStatus
    /// nil for a large file, which another thread may hash.
    var digest: Digest?
}

/// What a thread does next.
enum ScanJob {
    case list(ScanNode)
    case hash(ScanNode, file: Int)
}

/// What is left to do, and every directory that was found, parents first.
struct ScanQueue {
    /// The answer to a thread that asks: a job, or none because all is done.
    struct Answer {
        var job: ScanJob?
    }

    private(set) var nodes: [ScanNode]
    private var jobs: [ScanJob]
    private var unfinished = 1
    private var aborted = false

    init(root: ScanNode) {
        nodes = [root]
        jobs = [.list(root)]
    }

    /// nil while others may still find work.
    mutating func take() -> Answer? {
        if aborted || unfinished == 0 { return Answer(job: nil) }
        return jobs.popLast().map { Answer(job: $0) }
    }

    /// A job is done and gave these. True if waiting threads should look again.
    mutating func finish(adding found: [ScanJob]) -> Bool {
        unfinished += found.count - 1
        for case .list(let node) in found { nodes.append(node) }
        jobs.append(contentsOf: found)
        return !found.isEmpty || unfinished == 0
    }

    mutating func abort() { aborted = true }
}
