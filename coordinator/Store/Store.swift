import BuildPlan
import Digests
import FarmAPI
import Glibc
import GRDB
import Logging

/// The coordinator's database: one SQLite file, one writer, many readers. What it has acknowledged survives a crash.
public final class Store: Sendable {
    /// Enough for the routes and the status page at the same time; each costs a file descriptor and a page cache.
    static let readers = 6
    /// Pages of the write-ahead log after which it is copied into the file: 16 MiB, so that a long log of a build is not copied often.
    static let checkpointPages = 4096

    let pool: DatabasePool
    private let journal: Journal

    /// True where the process before did not close the file: it was killed, or the machine stopped.
    public let wasLeftOpen: Bool
    /// What was done to a backup that this is; nil where it is none.
    public let restoration: Restoration?

    /// Opens or creates the file, brings its schema up to date, and makes a backup the truth (``Restoration``).
    ///
    /// Blocks, but not for as long as the file is large: ``check(_:)`` reads it all, and is for later.
    ///
    /// - Parameter now: when a backup counts as restored; nil for now.
    /// - Throws: ``StoreError`` when the file is no database, can't be read, or was written by a newer version.
    public init(path: String, now: Timestamp? = nil, logger: Logger = Logger(label: "store")) throws {
        // ``close()`` empties the log.
        wasLeftOpen = Self.size(of: path + "-wal") > 0
        var configuration = Configuration()
        configuration.maximumReaderCount = Self.readers
        configuration.foreignKeysEnabled = true
        do {
            pool = try DatabasePool(path: path, configuration: configuration)
            try pool.writeWithoutTransaction { db in
                // FULL: a commit is on the disk when it returns, also after power loss. GRDB has set NORMAL, which loses the last ones.
                try db.execute(sql: "PRAGMA synchronous = FULL")
                try db.execute(sql: "PRAGMA wal_autocheckpoint = \(Self.checkpointPages)")
            }
            if try pool.read(Schema.migrator.hasBeenSuperseded) { throw StoreError.newer(path: path) }
            try Schema.migrator.migrate(pool)
            restoration = try Restoration.apply(pool, now: now ?? .ofWallClock())
        } catch let error as DatabaseError {
            throw StoreError.damaged(path: path, error.message ?? "error \(error.resultCode.rawValue)")
        }
        journal = Journal(pool: pool, logger: logger)
    }

    private static func size(of path: String) -> Int64 {
        var info = stat()
        return stat(path, &info) == 0 ? Int64(info.st_size) : 0
    }

    /// Queues changes as one atomic group, after all groups given before. Returns at once: await ``Commit/durable()``.
    ///
    /// While the disk is full, groups wait.
    @discardableResult
    public func write(_ changes: [Change]) -> Commit { journal.write(changes) }

    /// Why nothing can be written at present, with what to do; nil when all is well.
    public var trouble: String? { journal.trouble }

    /// Reads the whole file and checks its structure: some seconds for a gigabyte, on a connection of its own, while others read and write.
    ///
    /// What it finds is ``trouble`` from then on: who writes to a damaged file damages it further.
    ///
    /// - Returns: what is wrong; nil where nothing is.
    public func check() async throws -> String? {
        let problem: String?
        do {
            problem = try await pool.read { db in try String.fetchOne(db, sql: "PRAGMA quick_check(1)") }
        } catch let error as DatabaseError where error.resultCode == .SQLITE_CORRUPT || error.resultCode == .SQLITE_NOTADB {
            problem = error.message ?? "\(error.resultCode)"
        }
        guard let problem, problem != "ok" else { return nil }
        journal.found(damage: "\(StoreError.damaged(path: pool.path, problem))")
        return problem
    }

    /// Waits for everything written before, then closes the file. What is written from now on is refused by ``StoreError/closed``.
    /// - Throws: ``StoreError/unwritable(_:)`` while the disk is full: what was not acknowledged is given up.
    public func close() async throws {
        try await journal.close().durable(patiently: false)
        // What says that the file was closed in order is a log with nothing in it. GRDB closes the writer before the readers, who can't empty
        // it. One who still reads is no reason to wait: the next start takes this for an end out of order then, and checks the file.
        try? await pool.writeWithoutTransaction { db in _ = try db.checkpoint(.truncate) }
        try pool.close()
    }
}

/// Why a database can't be used.
public enum StoreError: Error, Sendable, CustomStringConvertible {
    /// SQLite's own check failed.
    case damaged(path: String, String)
    /// It has migrations that this program does not know.
    case newer(path: String)
    /// Nothing can be written at present: the text says why, and what to do.
    case unwritable(String)
    /// There is no such file.
    case absent(path: String)
    /// It was closed: the coordinator is ending.
    case closed
    /// A copy could not be made or used.
    case failed(path: String, String)

    public var description: String {
        switch self {
        case .damaged(let path, let problem):
            "the database \(path) can't be used: \(problem). Restore it from a backup, or move it away to start with an empty farm"
        case .newer(let path):
            "the database \(path) was written by a newer version of farm-coordinator: install that version or a later one"
        case .unwritable(let trouble): trouble
        case .absent(let path): "there is no database \(path)"
        case .closed: "the coordinator is ending: try again in a moment"
        case .failed(let path, let problem): "\(path): \(problem)"
        }
    }
}
