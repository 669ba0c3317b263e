import BlockingIO
import Glibc

/// Writes small files on some threads, while the thread that reads what arrives goes on reading.
///
/// The reader never waits for the others: when too much lies here, it writes a file itself. So it makes no difference how many threads there
/// are, none among them, but for the time.
final class FileCrew: Sendable {
    private struct Job: Sendable {
        var entry: TreeEntry
        var bytes: [UInt8]
    }

    private struct State {
        var jobs: [Job] = []
        /// The first that is not yet taken.
        var next = 0
        var bytes = 0
        var isClosed = false
        var failure: (any Error)?

        mutating func take() -> Job? {
            guard next < jobs.count else { return nil }
            let job = jobs[next]
            next += 1
            bytes -= job.bytes.count
            if next == jobs.count {
                jobs.removeAll(keepingCapacity: true)
                next = 0
            }
            return job
        }
    }

    /// Larger ones are written as they arrive.
    static let sizeLimit: UInt64 = 256 << 10
    /// What lies here at the most, and one file: bounds the memory of a transfer.
    private static let waitingBytes = 4 << 20
    /// Fewer files are written before another thread has begun.
    private static let worthwhileFiles = 64
    /// Beside the reader: others want to compute, too.
    private static let threads = min(3, max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)) - 1))

    private let state = Monitor(State())
    private let directory: String
    private let lists: BlockLists?

    private init(directory: String, lists: BlockLists?) {
        self.directory = directory
        self.lists = lists
    }

    /// Runs a body that reads, with a crew if there are enough files for one. All that was given to the crew is written when it returns; what
    /// fails there is thrown, as soon as the body gives it another file.
    static func with<R: Sendable>(
        files: Int, directory: String, lists: BlockLists?, _ body: (FileCrew?) throws -> R
    ) throws -> R {
        guard files >= worthwhileFiles else { return try body(nil) }
        let crew = FileCrew(directory: directory, lists: lists)
        return try withoutActuallyEscaping(body) { body in
            // Called by the calling thread only, number 0.
            nonisolated(unsafe) let body = body
            let result = Monitor<R?>(nil)
            try withThreads(threads + 1) { number in
                guard number == 0 else { return crew.work() }
                defer { crew.close() }
                let made = try body(crew)
                try crew.drain()
                result.withLock { $0 = made }
            }
            if let failure = crew.state.withLock({ $0.failure }) { throw failure }
            guard let made = result.withLock({ $0 }) else { throw CancellationError() }
            return made
        }
    }

    /// Takes a file with its whole content; the reader's writer writes what is too much.
    func write(_ entry: TreeEntry, _ bytes: [UInt8], or writer: TreeWriter) throws {
        try state.withLock { state in
            if let failure = state.failure { throw failure }
            state.jobs.append(Job(entry: entry, bytes: bytes))
            state.bytes += bytes.count
        }
        state.signal()
        while let surplus = state.withLock({ $0.bytes > Self.waitingBytes ? $0.take() : nil }) { try Self.write(surplus, writer) }
    }

    private static func write(_ job: Job, _ writer: TreeWriter) throws {
        try writer.writeFile(job.entry) { sink in try job.bytes.withUnsafeBytes { try sink.write($0) } }
    }

    /// The reader helps with the rest.
    private func drain() throws {
        let writer = try TreeWriter(directory: directory, lists: lists)
        while let job = state.withLock({ $0.take() }) { try Self.write(job, writer) }
    }

    private func close() {
        state.withLock { $0.isClosed = true }
        state.broadcast()
    }

    private enum Next {
        case job(Job)
        case end
    }

    /// What the other threads do.
    private func work() {
        do {
            let writer = try TreeWriter(directory: directory, lists: lists)
            while true {
                let next = state.wait { state -> Next? in
                    if state.failure != nil { return .end }
                    if let job = state.take() { return .job(job) }
                    return state.isClosed ? .end : nil
                }
                guard case .job(let job) = next else { return }
                try Self.write(job, writer)
            }
        } catch {
            state.withLock { if $0.failure == nil { $0.failure = error } }
            state.broadcast()
        }
    }
}
