import BuildPlan
import Digests
import FarmAPI
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

    /// Opens or creates the file, checks it and brings its schema up to date. Blocks: reads the whole file once.
    ///
    /// - Throws: ``StoreError`` when the file is damaged, or was written by a newer version.
    public init(path: String, logger: Logger = Logger(label: "store")) throws {
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
            let problem = try pool.read { db in try String.fetchOne(db, sql: "PRAGMA quick_check(1)") }
            if let problem, problem != "ok" { throw StoreError.damaged(path: path, problem) }
            if try pool.read(Schema.migrator.hasBeenSuperseded) { throw StoreError.newer(path: path) }
            try Schema.migrator.migrate(pool)
        } catch let error as DatabaseError {
            throw StoreError.damaged(path: path, error.message ?? "error \(error.resultCode.rawValue)")
        }
        journal = Journal(pool: pool, logger: logger)
    }

    /// Queues changes as one atomic group, after all groups given before. Returns at once: await ``Commit/durable()``.
    ///
    /// While the disk is full, groups wait.
    @discardableResult
    public func write(_ changes: [Change]) -> Commit { journal.write(changes) }

    /// Why nothing can be written at present, with what to do; nil when all is well.
    public var trouble: String? { journal.trouble }

    /// Waits for everything written before, then closes the file.
    public func close() async throws {
        try await write([]).durable()
        try pool.close()
    }
}

/// Why a database can't be used.
public enum StoreError: Error, Sendable, CustomStringConvertible {
    /// SQLite's own check failed.
    case damaged(path: String, String)
    /// It has migrations that this program does not know.
    case newer(path: String)

    public var description: String {
        switch self {
        case .damaged(let path, let problem):
            "the database \(path) can't be used: \(problem). Restore it from a backup, or move it away to start with an empty farm"
        case .newer(let path):
            "the database \(path) was written by a newer version of farm-coordinator: install that version or a later one"
        }
    }
}
