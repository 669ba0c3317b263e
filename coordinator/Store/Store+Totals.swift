import FarmAPI
import GRDB

/// Sums over the builds that the store keeps.
public struct StoreTotals: Sendable {
    /// Builds by status.
    public var builds: [Status: Int] = [:]
    /// Stages of builds that have not ended, by status.
    public var openStages: [Status: Int] = [:]
    /// Bytes that steps received over the network. Not integers: agents say what they received, and a sum must not overflow.
    public var layerBytes = 0.0
    public var contextBytes = 0.0
    public var volumeBytes = 0.0
}

extension Store {
    /// The sums of now. Reads the step table once: some 10 ms for 100,000 steps.
    public func totals() async throws -> StoreTotals {
        try await pool.read { db in
            var totals = StoreTotals()
            for row in try Row.fetchAll(db, sql: "SELECT status, COUNT(*) AS count FROM build GROUP BY status") {
                if let status = Status(rawValue: row["status"]) { totals.builds[status] = row["count"] }
            }
            let stages = """
                SELECT stage.status AS status, COUNT(*) AS count FROM stage JOIN build ON build.id = stage.build
                WHERE build.status IN ('queued', 'running') GROUP BY stage.status
                """
            for row in try Row.fetchAll(db, sql: stages) {
                if let status = Status(rawValue: row["status"]) { totals.openStages[status] = row["count"] }
            }
            let sums = "SELECT TOTAL(layerBytes) AS layers, TOTAL(contextBytes) AS context, TOTAL(volumeBytes) AS volumes FROM step"
            if let row = try Row.fetchOne(db, sql: sums) {
                totals.layerBytes = row["layers"]
                totals.contextBytes = row["context"]
                totals.volumeBytes = row["volumes"]
            }
            return totals
        }
    }
}
