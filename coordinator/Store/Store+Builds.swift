import BuildPlan
import Digests
import FarmAPI
import GRDB

extension Store {
    /// The events of a build with a sequence above `after`, at most `limit`, in order.
    public func events(of build: String, after: Int, limit: Int) async throws -> [BuildEvent] {
        try await pool.read { db in
            try JSON<BuildEvent>.fetchAll(
                db, sql: "SELECT body FROM event WHERE build = ? AND sequence > ? ORDER BY sequence LIMIT ?",
                arguments: [build, after, limit]
            ).map(\.value)
        }
    }

    /// The events of a build with a sequence above `after` as they are stored, in order: at most `limit`, and no more after `bytes` bytes.
    public func eventLines(of build: String, after: Int, limit: Int, bytes: Int) async throws -> [EventLine] {
        try await pool.read { db in
            let rows = try Row.fetchCursor(
                db.cachedStatement(
                    sql: "SELECT sequence, body FROM event WHERE build = ? AND sequence > ? ORDER BY sequence LIMIT ?"),
                arguments: [build, after, limit])
            var lines: [EventLine] = []
            var total = 0
            while total < bytes, let row = try rows.next() {
                let body: String = try row.value("body")
                lines.append(EventLine(sequence: try row.value("sequence"), json: Array(body.utf8)))
                total += body.utf8.count
            }
            return lines
        }
    }

    /// The build by its id.
    public func build(_ id: String) async throws -> StoredBuild? {
        try await pool.read { db in
            try Row.fetchOne(db, sql: "SELECT * FROM build WHERE id = ?", arguments: [id]).map { try StoredBuild(row: $0) }
        }
    }

    /// The sequence of the build's last event; 0 where it has none.
    public func lastEvent(of build: String) async throws -> Int {
        try await pool.read { db in
            try Int.fetchOne(db, sql: "SELECT max(sequence) FROM event WHERE build = ?", arguments: [build]) ?? 0
        }
    }

    /// Only the build's status: cheap.
    public func status(of build: String) async throws -> Status? {
        try await pool.read { db in
            try String.fetchOne(db, sql: "SELECT status FROM build WHERE id = ?", arguments: [build]).map { try Status(column: $0) }
        }
    }

    /// The build that the user's request started.
    public func build(requestID: String, user: String) async throws -> StoredBuild? {
        try await pool.read { db in
            try Row.fetchOne(db, sql: "SELECT * FROM build WHERE user = ? AND requestID = ?", arguments: [user, requestID])
                .map { try StoredBuild(row: $0) }
        }
    }

    /// Ids that begin so, at most two: enough to know whether a prefix is unique.
    public func builds(prefix: String) async throws -> [String] {
        try await pool.read { db in
            // The last Unicode scalar is above every id that begins with the prefix.
            try String.fetchAll(
                db, sql: "SELECT id FROM build WHERE id >= ? AND id < ? LIMIT 2", arguments: [prefix, prefix + "\u{10FFFF}"])
        }
    }

    /// The newest builds first. Without their plans.
    public func builds(limit: Int) async throws -> [StoredBuild] {
        try await pool.read { db in
            try Row.fetchAll(
                db,
                sql: """
                    SELECT id, project, user, requestID, request, platform, status, uploaded, NULL AS plan, createdAt, startedAt, finishedAt,
                        failure, image, images
                    FROM build ORDER BY createdAt DESC, id DESC LIMIT ?
                    """, arguments: [limit]
            ).map { try StoredBuild(row: $0) }
        }
    }

    /// Stages and steps of a build, in order.
    public func stages(of build: String) async throws -> (stages: [StoredStage], steps: [StoredStep]) {
        try await pool.read { db in try Self.stages(of: build, db) }
    }

    static func stages(of build: String, _ db: Database) throws -> (stages: [StoredStage], steps: [StoredStep]) {
        let stages = try Row.fetchAll(db, sql: "SELECT * FROM stage WHERE build = ? ORDER BY number", arguments: [build])
        let steps = try Row.fetchAll(db, sql: "SELECT * FROM step WHERE build = ? ORDER BY stage, number", arguments: [build])
        return (try stages.map { try StoredStage(row: $0) }, try steps.map { try StoredStep(row: $0) })
    }
}

extension StoredBuild {
    init(row: Row) throws {
        let request: JSON<SubmitRequest> = try row.value("request")
        self.init(
            id: try row.value("id"), user: try row.value("user"), request: request.value,
            platform: try row.value("platform"), uploaded: try row.value("uploaded"),
            createdAt: try row.value("createdAt"))
        status = try Status(column: row.value("status"))
        plan = try row.optional("plan", JSON<StoredPlan>.self)?.value
        startedAt = try row.optional("startedAt", Timestamp.self)
        finishedAt = try row.optional("finishedAt", Timestamp.self)
        failure = try row.optional("failure", JSON<BuildFailure>.self)?.value
        image = try row.optional("image", JSON<StoredResult>.self)?.value
        images = try row.optional("images", JSON<[String: StoredResult]>.self)?.value
    }
}

extension StoredStage {
    init(row: Row) throws {
        self.init(
            build: try row.value("build"), number: try row.value("number"), name: try row.value("name"))
        status = try Status(column: row.value("status"))
        agent = try row.optional("agent", String.self)
        attempts = try row.value("attempts")
        excused = try row.value("excused")
        placement = try row.optional("placement", String.self)
        // It is there to be read by people: one that this version can't read is no reason to refuse the build.
        decision = try? row.optional("decision", JSON<PlacementDecision>.self)?.value
    }
}

extension StoredStep {
    init(row: Row) throws {
        self.init(
            build: try row.value("build"), stage: try row.value("stage"), number: try row.value("number"),
            name: try row.value("name"))
        status = try Status(column: row.value("status"))
        cached = try row.value("cached")
        startedAt = try row.optional("startedAt", Timestamp.self)
        finishedAt = try row.optional("finishedAt", Timestamp.self)
        exitCode = try row.optional("exitCode", Int.self)
        key = try row.optional("key", Digest.self)
        if let diffID = try row.optional("layer", Digest.self), let size = try row.optional("size", Int64.self) {
            layer = LayerDescriptor(diffID: diffID, size: size)
        }
        createdAt = try row.optional("createdAt", Timestamp.self)
        files = try row.optional("files", Digest.self)
        bytes.layers = try row.value("layerBytes")
        bytes.context = try row.value("contextBytes")
        bytes.volumes = try row.value("volumeBytes")
    }
}

extension Status {
    init(column: String) throws {
        guard let status = Status(rawValue: column) else {
            throw DatabaseError(resultCode: .SQLITE_CORRUPT, message: "'\(column)' is not a status")
        }
        self = status
    }
}
