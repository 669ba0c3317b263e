import BuildPlan
import FarmAPI
import GRDB

/// A single fact in the table of that name.
struct Note: Sendable {
    let name: String

    /// See ``StoredState/generationFloor``.
    static let generationFloor = Note(name: "generationFloor")
    /// The wall clock when it was last looked at, in nanoseconds: a clock that was moved while no process ran is seen by it.
    static let clock = Note(name: "clock")

    /// nil where nothing is noted.
    func read(_ db: Database) throws -> Int? {
        try String.fetchOne(db, sql: "SELECT value FROM note WHERE name = ?", arguments: [name]).flatMap { Int($0) }
    }

    func write(_ value: Int, _ db: Database) throws {
        try db.execute(sql: "INSERT OR REPLACE INTO note (name, value) VALUES (?, ?)", arguments: [name, String(value)])
    }
}

extension Change {
    /// Generations of volumes get numbers above this one from now on.
    public static func setGenerationFloor(_ floor: Int) -> Change { Change { db in try Note.generationFloor.write(floor, db) } }

    /// The wall clock showed this.
    public static func setClock(_ time: Timestamp) -> Change { Change { db in try Note.clock.write(Int(time.nanoseconds), db) } }
}
