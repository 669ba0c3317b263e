import BuildPlan
import Digests
import FarmAPI
import GRDB

// Old things go in small groups, each a transaction of its own between those of others: nobody waits for more than one of them.
extension Store {
    /// Rows that one group removes: a few milliseconds.
    static let retentionChunk = 500
    /// Builds that are looked at together.
    static let retentionPage = 50

    /// Removes what the policy does not keep. What was removed when it is cancelled, or the disk is full, stays removed.
    public func retain(_ policy: RetentionPolicy) async throws -> RetentionOutcome {
        var outcome = RetentionOutcome()
        outcome.builds = try await removeBuilds(finishedBefore: policy.buildsBefore)
        let day = policy.logsBefore
        let old = "finishedAt < \(day.nanoseconds) AND logRemoved = 0 AND status NOT IN ('queued', 'running')"
        while true {
            let page = try await ids("SELECT id FROM build WHERE \(old) ORDER BY finishedAt LIMIT \(Self.retentionPage)")
            for build in page { try await removeLog(of: build, reason: "it is older than this farm keeps logs (log-retention)") }
            outcome.logs += page.count
            if page.count < Self.retentionPage { break }
        }
        if let limit = policy.logBytes { outcome.logs += try await keepLogs(within: limit) }
        outcome.records = try await removeRecords(madeBefore: policy.recordsBefore)
        outcome.selections = try await removeSelections(madeBefore: policy.recordsBefore)
        return outcome
    }

    private func ids(_ query: String) async throws -> [String] { try await pool.read { db in try String.fetchAll(db, sql: query) } }

    // MARK: Builds

    private func removeBuilds(finishedBefore time: Timestamp) async throws -> Int {
        var count = 0
        while true {
            let page = try await ids(
                """
                SELECT id FROM build WHERE finishedAt < \(time.nanoseconds) AND status NOT IN ('queued', 'running')
                ORDER BY finishedAt LIMIT \(Self.retentionPage)
                """)
            for build in page {
                while let end = try await chunkEnd(of: build, after: 0) {
                    try await remove(Change(sql: "DELETE FROM event WHERE build = ? AND sequence <= ?", build, end))
                }
                try await remove(Change(sql: "DELETE FROM build WHERE id = ?", build))
            }
            count += page.count
            if page.count < Self.retentionPage { return count }
        }
    }

    /// The last sequence of the build's next chunk of events; nil where there are none after `sequence`.
    private func chunkEnd(of build: String, after sequence: Int) async throws -> Int? {
        try await pool.read { db in
            try Int.fetchOne(
                db,
                sql: """
                    SELECT max(sequence) FROM
                        (SELECT sequence FROM event WHERE build = ? AND sequence > ? ORDER BY sequence LIMIT \(Self.retentionChunk))
                    """, arguments: [build, sequence])
        }
    }

    /// One group. The task may be cancelled between groups.
    private func remove(_ changes: Change...) async throws {
        try Task.checkCancellation()
        try await write(changes).durable(patiently: false)
    }

    // MARK: Logs

    /// What its steps printed goes; what happened stays, and in the place of the first output an event says that it is gone.
    private func removeLog(of build: String, reason: String) async throws {
        let isLog = "json_type(body, '$.kind.log') IS NOT NULL"
        let first = try await pool.read { db in
            try Row.fetchOne(
                db, sql: "SELECT sequence, body FROM event WHERE build = ? AND \(isLog) ORDER BY sequence LIMIT 1", arguments: [build]
            )
            .map { row -> BuildEvent in
                let event: JSON<BuildEvent> = try row.value("body")
                return event.value
            }
        }
        var position = first?.sequence ?? 0
        while first != nil, let end = try await chunkEnd(of: build, after: position) {
            let start = position
            try await remove(
                Change(sql: "DELETE FROM event WHERE build = ? AND sequence > ? AND sequence <= ? AND \(isLog)", build, start, end))
            position = end
        }
        var last = [Change(sql: "UPDATE build SET logRemoved = 1, logBytes = 0 WHERE id = ?", build)]
        if let first {
            let text = "what the steps of this build printed was removed: \(reason)"
            last.append(
                Change(sql: "DELETE FROM event WHERE build = ? AND sequence = ?", build, first.sequence))
            last.append(.append(BuildEvent(sequence: first.sequence, time: first.time, kind: .warning(text: text)), to: build))
        }
        try await write(last).durable(patiently: false)
    }

    private func keepLogs(within limit: Int64) async throws -> Int {
        try await measureLogs()
        var size = try await pool.read { db in try Int64.fetchOne(db, sql: "SELECT sum(logBytes) FROM build") ?? 0 }
        var count = 0
        while size > limit {
            let page = try await pool.read { db in
                try Row.fetchAll(
                    db,
                    sql: """
                        SELECT id, logBytes FROM build WHERE finishedAt IS NOT NULL AND logRemoved = 0 AND logBytes IS NOT NULL
                        ORDER BY finishedAt LIMIT \(Self.retentionPage)
                        """
                ).map { row -> (String, Int64) in (try row.value("id"), try row.value("logBytes")) }
            }
            if page.isEmpty { break }
            for (build, bytes) in page where size > limit {
                try await removeLog(of: build, reason: "the logs of this farm take more than they may (log-limit)")
                size -= bytes
                count += 1
            }
        }
        return count
    }

    /// Each build's log is measured once, when it has ended.
    private func measureLogs() async throws {
        while true {
            let page = try await ids(
                """
                SELECT id FROM build WHERE finishedAt IS NOT NULL AND logBytes IS NULL AND status NOT IN ('queued', 'running')
                ORDER BY finishedAt LIMIT \(Self.retentionPage)
                """)
            for build in page {
                let bytes = try await pool.read { db in
                    try Int64.fetchOne(db, sql: "SELECT sum(length(CAST(body AS BLOB))) FROM event WHERE build = ?", arguments: [build])
                        ?? 0
                }
                try await remove(Change(sql: "UPDATE build SET logBytes = ? WHERE id = ?", bytes, build))
            }
            if page.count < Self.retentionPage { return }
        }
    }

    // MARK: Records

    private func removeRecords(madeBefore time: Timestamp) async throws -> Int {
        var count = 0
        var (made, key) = (Int64.min, Digest.of(""))
        while true {
            let position = (made, key)
            let page = try await pool.read { db in
                try Row.fetchAll(
                    db,
                    sql: """
                        SELECT createdAt, key, EXISTS (SELECT 1 FROM layerHolder WHERE layerHolder.layer = record.layer) AS held FROM record
                        WHERE (createdAt, key) > (?, ?) AND createdAt < ? ORDER BY createdAt, key LIMIT \(Self.retentionChunk)
                        """, arguments: [position.0, position.1, time]
                ).map { row -> (Int64, Digest, Bool) in (try row.value("createdAt"), try row.value("key"), try row.value("held")) }
            }
            guard let last = page.last else { break }
            (made, key) = (last.0, last.1)
            let gone = page.filter { !$0.2 }.map(\.1)
            guard !gone.isEmpty else { continue }
            count += gone.count
            try await remove(
                Change { db in
                    for key in gone {
                        // An agent may have come with the layer since it was looked at.
                        try db.cachedStatement(
                            sql: "DELETE FROM record WHERE key = ? AND NOT EXISTS (SELECT 1 FROM layerHolder WHERE layer = record.layer)"
                        ).execute(arguments: [key])
                    }
                })
        }
        try await removeLayers()
        return count
    }

    /// Sizes of layers that nobody has.
    private func removeLayers() async throws {
        while true {
            let gone = try await pool.read { db in
                try Digest.fetchAll(
                    db,
                    sql: """
                        SELECT digest FROM layer WHERE NOT EXISTS (SELECT 1 FROM layerHolder WHERE layer = digest)
                        LIMIT \(Self.retentionChunk)
                        """)
            }
            if gone.isEmpty { return }
            try await remove(
                Change { db in
                    for layer in gone {
                        try db.cachedStatement(
                            sql: "DELETE FROM layer WHERE digest = ? AND NOT EXISTS (SELECT 1 FROM layerHolder WHERE layer = digest)"
                        ).execute(arguments: [layer])
                    }
                })
        }
    }

    private func removeSelections(madeBefore time: Timestamp) async throws -> Int {
        var count = 0
        while true {
            let gone = try await pool.read { db in
                try Int.fetchOne(
                    db, sql: "SELECT count(*) FROM (SELECT 1 FROM selection WHERE createdAt < ? LIMIT \(Self.retentionChunk))",
                    arguments: [time]) ?? 0
            }
            if gone == 0 { return count }
            count += gone
            try await remove(
                Change(
                    sql: """
                        DELETE FROM selection WHERE (chain, path, wildcards) IN
                            (SELECT chain, path, wildcards FROM selection WHERE createdAt < ? LIMIT \(Self.retentionChunk))
                        """, time))
        }
    }
}
