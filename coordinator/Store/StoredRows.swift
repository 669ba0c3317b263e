import BuildPlan
import Digests
import FarmAPI
import GRDB

/// Reads every row as the coordinator would, and keeps nothing: what SQLite takes for whole may still be no build.
enum StoredRows {
    static func problems(_ db: Database, limit: Int) throws -> [String] {
        var problems: [String] = []
        func each(_ table: String, _ columns: String = "*", _ read: (Row) throws -> Void) throws {
            let rows = try Row.fetchCursor(db, sql: "SELECT \(columns) FROM \(table)")
            while problems.count < limit, let row = try rows.next() {
                do { try read(row) } catch let error as DatabaseError {
                    problems.append("a row of \(table) can't be read: \(error.message ?? "\(error)")")
                }
            }
        }
        try each("build") { _ = try StoredBuild(row: $0) }
        try each("stage") { _ = try StoredStage(row: $0) }
        try each("step") { _ = try StoredStep(row: $0) }
        try each("event") { row in
            let event: JSON<BuildEvent> = try row.value("body")
            let sequence: Int = try row.value("sequence")
            guard event.value.sequence == sequence else {
                throw DatabaseError(resultCode: .SQLITE_CORRUPT, message: "event \(sequence) says that it is \(event.value.sequence)")
            }
        }
        try each("record") { row in
            _ = try (row.value("key", Digest.self), row.value("layer", Digest.self), row.optional("files", Digest.self))
        }
        try each("image") { _ = try StoredImage(row: $0) }
        try each("volume") { _ = try StoredVolume(row: $0) }
        try each("agent") { _ = try StoredAgent(row: $0) }
        try each("assignment") { _ = try StoredAssignment(row: $0) }
        try each("volumeLock") { _ = try StoredLock(row: $0) }
        return problems
    }
}
