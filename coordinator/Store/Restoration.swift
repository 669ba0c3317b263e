import BuildPlan
import FarmAPI
import GRDB

/// What turns a backup into the truth of a farm that has gone on after it was taken.
///
/// A backup carries the time at which it was taken, in the file's header, so that it is known for one however it came to its place. When
/// it is opened first:
///
/// - Builds that were open in it end as failed. What became of them is not known; their agents are told to stop what the store does not
///   know of, and a client that waits hears why.
/// - Numbers of volumes' generations go on far above all that may have been given since. A number that stands for a tree on some agent, and
///   be it one that comes back in a year, never comes to stand for another one. See ``StoredState/generationFloor``.
public struct Restoration: Sendable, Hashable {
    public var takenAt: Timestamp
    /// Builds that it ended.
    public var endedBuilds: Int
    public var generationFloor: Int

    /// The least distance from the highest number that the backup knows.
    public static let leastGap = 1_000_000
    /// Far more often a second than a volume can be published: each publication walks a tree and waits for two disks.
    static let gapPerSecond = 100
    /// Nobody has numbered so far; the numbers of hard links have forty bits for generations.
    public static let largestGeneration = 1 << 38

    /// Of a backup, in minutes since 1970; 0 for a store that is none. SQLite keeps it in the file's header, whatever the schema.
    private static let marker = "user_version"

    /// Marks a copy as a backup.
    static func mark(_ db: Database, takenAt: Timestamp) throws {
        let minutes = max(1, takenAt.nanoseconds / 60_000_000_000)
        try db.execute(sql: "PRAGMA \(marker) = \(Int32(clamping: minutes))")
    }

    /// When the backup was taken, to the minute; nil for a store that is none.
    static func takenAt(_ db: Database) throws -> Timestamp? {
        let minutes = try Int64.fetchOne(db, sql: "PRAGMA \(marker)") ?? 0
        return minutes > 0 ? Timestamp(seconds: minutes * 60) : nil
    }

    /// Does it where the file is a backup, in one transaction.
    static func apply(_ pool: DatabasePool, now: Timestamp) throws -> Restoration? {
        guard try pool.read({ try takenAt($0) }) != nil else { return nil }
        return try pool.write { db in
            guard let taken = try takenAt(db) else { return nil }
            let ended = try endBuilds(db, taken: taken, now: now)
            try db.execute(sql: "DELETE FROM volumeLock")
            try db.execute(sql: "DELETE FROM assignment")
            let known = max(
                try Int.fetchOne(db, sql: "SELECT max(max(head, removed)) FROM volume") ?? 0, try Note.generationFloor.read(db) ?? 0)
            let seconds = max(0, (now.nanoseconds - taken.nanoseconds) / 1_000_000_000)
            let floor = min(known + leastGap + Int(clamping: seconds) * gapPerSecond, largestGeneration)
            try Note.generationFloor.write(floor, db)
            try db.execute(sql: "PRAGMA \(marker) = 0")
            return Restoration(takenAt: taken, endedBuilds: ended, generationFloor: floor)
        }
    }

    private static func endBuilds(_ db: Database, taken: Timestamp, now: Timestamp) throws -> Int {
        let failure = BuildFailure(
            message: "the farm was restored from a backup of \(taken) in which this build was under way: submit it again")
        let open = try String.fetchAll(db, sql: "SELECT id FROM build WHERE status IN ('queued', 'running')")
        for build in open {
            for table in ["stage", "step"] {
                try db.execute(
                    sql: "UPDATE \(table) SET status = 'cancelled' WHERE build = ? AND status IN ('queued', 'running')", arguments: [build])
            }
            try db.execute(
                sql: "UPDATE build SET status = 'failed', finishedAt = ?, failure = ? WHERE id = ?", arguments: [now, JSON(failure), build])
            let last = try Int.fetchOne(db, sql: "SELECT max(sequence) FROM event WHERE build = ?", arguments: [build]) ?? 0
            let end = BuildEvent(sequence: last + 1, time: now, kind: .finished(status: .failed, error: failure, image: nil))
            try Change.append(end, to: build).apply(db)
        }
        return open.count
    }
}
