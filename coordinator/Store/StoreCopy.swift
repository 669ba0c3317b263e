import BuildPlan
import Digests
import FarmAPI
import Glibc
import GRDB

/// A copy of a store's file, taken while a coordinator works on it or while none does, marked as a backup (``Restoration``).
///
/// Everything here blocks, in proportion to the file.
public enum StoreCopy {
    /// Seconds for which a file that somebody else is just opening or closing is waited for.
    static let patience = 30.0

    /// What is in a copy.
    public struct Facts: Sendable, Hashable {
        /// To the minute.
        public var takenAt: Timestamp
        public var builds: Int
        public var openBuilds: Int
        public var records: Int
        public var volumes: Int
    }

    /// Writes a copy as of one moment and checks it. The one snapshot that it reads neither waits for the writer nor keeps it waiting;
    /// only the write-ahead log grows until it is done.
    ///
    /// - Parameter target: must not be there. It is removed again when something fails.
    public static func write(of path: String, to target: String, now: Timestamp) throws {
        guard access(path, F_OK) == 0 else { throw StoreError.absent(path: path) }
        guard access(target, F_OK) != 0 else { throw StoreError.failed(path: target, "it is there already") }
        do {
            let source = try open(path, readonly: true)
            try source.writeWithoutTransaction { db in
                if try Schema.migrator.hasBeenSuperseded(db) { throw StoreError.newer(path: path) }
                try db.execute(sql: "VACUUM INTO ?", arguments: [target])
            }
            try source.close()
            let copy = try open(target)
            try copy.writeWithoutTransaction { db in
                // One file, without a log beside it.
                try db.execute(sql: "PRAGMA journal_mode = DELETE")
                try Restoration.mark(db, takenAt: now)
            }
            try copy.close()
            if let problem = try problems(of: target, limit: 1).first { throw StoreError.damaged(path: path, problem) }
        } catch let error as DatabaseError {
            for suffix in ["", "-journal", "-wal", "-shm"] { unlink(target + suffix) }
            if error.resultCode == .SQLITE_CORRUPT || error.resultCode == .SQLITE_NOTADB {
                throw StoreError.damaged(path: path, error.message ?? "error \(error.resultCode.rawValue)")
            }
            throw StoreError.failed(path: target, error.message ?? "error \(error.resultCode.rawValue)")
        } catch {
            for suffix in ["", "-journal", "-wal", "-shm"] { unlink(target + suffix) }
            throw error
        }
    }

    /// Looks at a copy without changing it. Throws ``StoreError`` where it is none, damaged, or of a newer version.
    public static func inspect(_ path: String) throws -> Facts {
        guard access(path, F_OK) == 0 else { throw StoreError.absent(path: path) }
        if let problem = try problems(of: path, limit: 1).first { throw StoreError.damaged(path: path, problem) }
        return try facts(of: path)
    }

    /// What is in a copy that was checked already.
    public static func facts(of path: String) throws -> Facts {
        do {
            let copy = try open(path, readonly: true)
            defer { try? copy.close() }
            return try copy.read { db in
                if try Schema.migrator.hasBeenSuperseded(db) { throw StoreError.newer(path: path) }
                guard let taken = try Restoration.takenAt(db) else {
                    throw StoreError.failed(path: path, "it is no backup that `farm-coordinator backup` made")
                }
                func count(_ what: String) throws -> Int { try Int.fetchOne(db, sql: "SELECT count(*) FROM \(what)") ?? 0 }
                return Facts(
                    takenAt: taken, builds: try count("build"), openBuilds: try count("build WHERE status IN ('queued', 'running')"),
                    records: try count("record"), volumes: try count("volume WHERE head > removed"))
            }
        } catch let error as DatabaseError {
            throw StoreError.damaged(path: path, error.message ?? "error \(error.resultCode.rawValue)")
        }
    }

    /// The layers of all imported images.
    public static func imageLayers(of path: String) throws -> Set<Digest> {
        let copy = try open(path, readonly: true)
        defer { try? copy.close() }
        return try copy.read { db in
            Set(try Row.fetchAll(db, sql: "SELECT * FROM image").flatMap { try StoredImage(row: $0).image.layers.map(\.diffID) })
        }
    }

    /// Everything that SQLite finds wrong with a file, which a coordinator may be working on: pages, indexes, references between tables;
    /// and rows that this program can't read.
    ///
    /// - Parameter limit: so many at most.
    public static func problems(of path: String, limit: Int) throws -> [String] {
        guard access(path, F_OK) == 0 else { throw StoreError.absent(path: path) }
        do {
            let file = try open(path, readonly: true)
            defer { try? file.close() }
            return try file.read { db in
                var problems = try String.fetchAll(db, sql: "PRAGMA integrity_check(\(limit))").filter { $0 != "ok" }
                for row in try Row.fetchAll(db, sql: "PRAGMA foreign_key_check").prefix(limit) {
                    let (table, parent): (String, String) = (row[0], row[2])
                    problems.append("a row of \(table) stands for nothing in \(parent)")
                }
                if try Schema.migrator.hasBeenSuperseded(db) { throw StoreError.newer(path: path) }
                // Rows of an older schema are read after the first start, which brings them up to date.
                if problems.isEmpty, try Schema.migrator.hasCompletedMigrations(db) {
                    problems += try StoredRows.problems(db, limit: limit)
                }
                return Array(problems.prefix(limit))
            }
        } catch let error as DatabaseError {
            return [error.message ?? "error \(error.resultCode.rawValue)"]
        }
    }

    private static func open(_ path: String, readonly: Bool = false) throws -> DatabaseQueue {
        var configuration = Configuration()
        configuration.readonly = readonly
        configuration.busyMode = .timeout(patience)
        return try DatabaseQueue(path: path, configuration: configuration)
    }
}
