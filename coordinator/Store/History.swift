import GRDB

/// What a farm has done, for looking at it elsewhere: read from a coordinator's database, or from a backup of it, without changing it.
public struct History: Sendable {
    /// A build that has ended.
    public struct Build: Sendable {
        public var build: StoredBuild
        public var stages: [StoredStage]
        public var steps: [StoredStep]
    }

    /// Oldest first.
    public var builds: [Build] = []
    public var agents: [StoredAgent] = []
    public var volumes: [StoredVolume] = []

    /// Reads all in one snapshot; blocks. A coordinator may be running on the database.
    ///
    /// - Throws: ``StoreError`` when it is damaged, newer, or so old that the coordinator has to bring it up to date first.
    public init(reading path: String) throws {
        var configuration = Configuration()
        configuration.readonly = true
        do {
            let queue = try DatabaseQueue(path: path, configuration: configuration)
            self = try queue.read { db in
                if try Schema.migrator.hasBeenSuperseded(db) { throw StoreError.newer(path: path) }
                guard try Schema.migrator.hasCompletedMigrations(db) else {
                    throw StoreError.damaged(path: path, "it is not of this version of farm-coordinator, which updates it when it starts")
                }
                return try History(db)
            }
        } catch let error as DatabaseError {
            throw StoreError.damaged(path: path, error.message ?? "error \(error.resultCode.rawValue)")
        }
    }

    private init(_ db: Database) throws {
        for row in try Row.fetchAll(db, sql: "SELECT * FROM build WHERE status NOT IN ('queued', 'running') ORDER BY createdAt, id") {
            let build = try StoredBuild(row: row)
            let (stages, steps) = try Store.stages(of: build.id, db)
            builds.append(Build(build: build, stages: stages, steps: steps))
        }
        agents = try Row.fetchAll(db, sql: "SELECT * FROM agent ORDER BY name").map { try StoredAgent(row: $0) }
        volumes = try Row.fetchAll(db, sql: "SELECT * FROM volume").map { try StoredVolume(row: $0) }
    }
}
