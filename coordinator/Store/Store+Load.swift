import BuildPlan
import Digests
import FarmAPI
import GRDB

/// Everything that the engine keeps in memory, as it was when the process ended.
public struct StoredState: Sendable {
    /// A build that has not ended.
    public struct OpenBuild: Sendable {
        public var build: StoredBuild
        public var stages: [StoredStage]
        public var steps: [StoredStep]
        /// The sequence of its last event.
        public var lastEvent: Int
    }

    /// Oldest first.
    public var builds: [OpenBuild] = []
    public var agents: [StoredAgent] = []
    /// By agent.
    public var layers: [String: [LayerDescriptor]] = [:]
    /// By agent.
    public var heldVolumes: [String: [HeldVolume]] = [:]
    public var volumes: [StoredVolume] = []
    public var assignments: [StoredAssignment] = []
    public var locks: [StoredLock] = []
    public var durations: [StoredDuration] = []
    /// The oldest first.
    public var bandwidths: [StoredBandwidth] = []
    /// Generations of volumes get numbers above this one; up to it, a number may stand for what a lost part of the history gave it. 0 in a
    /// farm that was never restored from a backup.
    public var generationFloor = 0
    /// What the wall clock showed when it was last noted.
    public var clock: Timestamp?
}

extension Store {
    /// Reads the state in one snapshot.
    public func load() async throws -> StoredState {
        try await pool.read { db in
            var state = StoredState()
            for row in try Row.fetchAll(db, sql: "SELECT * FROM build WHERE status IN ('queued', 'running') ORDER BY createdAt, id") {
                let build = try StoredBuild(row: row)
                let (stages, steps) = try Self.stages(of: build.id, db)
                let last = try Int.fetchOne(db, sql: "SELECT max(sequence) FROM event WHERE build = ?", arguments: [build.id])
                state.builds.append(StoredState.OpenBuild(build: build, stages: stages, steps: steps, lastEvent: last ?? 0))
            }
            state.agents = try Row.fetchAll(db, sql: "SELECT * FROM agent ORDER BY name").map { try StoredAgent(row: $0) }
            let holders = try Row.fetchCursor(db, sql: "SELECT agent, digest, size FROM layerHolder JOIN layer ON layer = digest")
            while let row = try holders.next() {
                let layer = LayerDescriptor(diffID: try row.value("digest"), size: try row.value("size"))
                state.layers[try row.value("agent"), default: []].append(layer)
            }
            let volumes = try Row.fetchCursor(db, sql: "SELECT * FROM volumeHolder")
            while let row = try volumes.next() {
                let held = HeldVolume(key: try VolumeKey(row: row), generation: try row.value("generation"))
                state.heldVolumes[try row.value("agent"), default: []].append(held)
            }
            state.volumes = try Row.fetchAll(db, sql: "SELECT * FROM volume").map { try StoredVolume(row: $0) }
            state.assignments = try Row.fetchAll(db, sql: "SELECT * FROM assignment ORDER BY id").map { try StoredAssignment(row: $0) }
            state.locks = try Row.fetchAll(db, sql: "SELECT * FROM volumeLock ORDER BY lock").map { try StoredLock(row: $0) }
            state.durations = try Row.fetchAll(db, sql: "SELECT * FROM duration").map { row in
                StoredDuration(
                    project: try row.value("project"), stage: try row.value("stage"),
                    count: try row.value("count"), mean: try row.value("mean"), variance: try row.value("variance"))
            }
            state.bandwidths = try Row.fetchAll(db, sql: "SELECT * FROM bandwidth ORDER BY measuredAt").map { row in
                let sender: String = try row.value("sender")
                return StoredBandwidth(
                    from: sender.isEmpty ? nil : sender, to: try row.value("receiver"), rate: try row.value("rate"),
                    measuredAt: try row.value("measuredAt"))
            }
            state.generationFloor = try Note.generationFloor.read(db) ?? 0
            state.clock = try Note.clock.read(db).map { Timestamp(nanoseconds: Int64($0)) }
            return state
        }
    }
}

extension VolumeKey {
    init(row: Row) throws {
        self.init(
            project: try row.value("project"), id: try row.value("id"), platform: try row.value("platform"))
    }
}

extension StoredAgent {
    init(row: Row) throws {
        let labels: JSON<[String: String]> = try row.value("labels")
        let hostPaths: JSON<[String]> = try row.value("hostPaths")
        let resources: JSON<AgentResources> = try row.value("resources")
        self.init(
            name: try row.value("name"), labels: labels.value, slots: try row.value("slots"),
            address: try row.value("address"), runtime: try row.value("runtime"),
            version: try row.value("version"), hostPaths: hostPaths.value, resources: resources.value,
            drained: try row.value("drained"), lastSeen: try row.value("lastSeen"), epoch: try row.value("epoch"),
            report: try row.value("report"))
        // One that this version can't read keeps no agent from its work.
        setAside = try? row.optional("setAside", JSON<StoredSetAside>.self)?.value
    }
}

extension StoredVolume {
    init(row: Row) throws {
        self.init(key: try VolumeKey(row: row))
        head = try row.value("head")
        removed = try row.value("removed")
        bytes = try row.value("bytes")
        files = try row.value("files")
        lastUse = try row.value("lastUse")
        let publications: JSON<[Publication]> = try row.value("publications")
        self.publications = publications.value
    }
}

extension StoredAssignment {
    init(row: Row) throws {
        self.init(
            id: try row.value("id"), build: try row.value("build"), stage: try row.value("stage"),
            agent: try row.value("agent"), epoch: try row.value("epoch"), attempt: try row.value("attempt"),
            firstStep: try row.value("firstStep"))
        shift = try row.value("shift")
        lastStep = try row.optional("lastStep", Int.self)
    }
}

extension StoredLock {
    init(row: Row) throws {
        let needs: JSON<[AcquireVolumes.Need]> = try row.value("needs")
        let forks: JSON<[Bool]> = try row.value("forks")
        self.init(
            lock: try row.value("lock"), assignment: try row.value("assignment"), agent: try row.value("agent"),
            needs: needs.value, forks: forks.value)
    }
}
