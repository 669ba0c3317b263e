import GRDB

/// The schema, as named steps: a step that has been released is never edited, another is added.
enum Schema {
    static var migrator: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("1-builds") { db in try db.execute(sql: builds) }
        migrator.registerMigration("1-layers") { db in try db.execute(sql: layers) }
        migrator.registerMigration("1-volumes") { db in try db.execute(sql: volumes) }
        migrator.registerMigration("1-agents") { db in try db.execute(sql: agents) }
        migrator.registerMigration("2-volume-care") { db in try db.execute(sql: volumeCare) }
        migrator.registerMigration("2-werf") { db in try db.execute(sql: werf) }
        // Checks of foreign keys would read the whole file; what these add has none.
        migrator.registerMigration("3-decisions", foreignKeyChecks: .immediate) { db in try db.execute(sql: decisions) }
        migrator.registerMigration("3-sharing", foreignKeyChecks: .immediate) { db in try db.execute(sql: sharing) }
        migrator.registerMigration("3-set-aside", foreignKeyChecks: .immediate) { db in try db.execute(sql: setAside) }
        migrator.registerMigration("3-bandwidth", foreignKeyChecks: .immediate) { db in try db.execute(sql: bandwidth) }
        migrator.registerMigration("3-resources", foreignKeyChecks: .immediate) { db in try db.execute(sql: resources) }
        migrator.registerMigration("3-remembering", foreignKeyChecks: .immediate) { db in try db.execute(sql: remembering) }
        return migrator
    }

    private static let builds = """
        CREATE TABLE build (
            id TEXT PRIMARY KEY NOT NULL,
            project TEXT NOT NULL,
            user TEXT NOT NULL,
            requestID TEXT NOT NULL,
            request TEXT NOT NULL,
            platform TEXT NOT NULL,
            status TEXT NOT NULL,
            uploaded INTEGER NOT NULL,
            plan TEXT,
            createdAt INTEGER NOT NULL,
            startedAt INTEGER,
            finishedAt INTEGER,
            failure TEXT,
            image TEXT,
            UNIQUE (user, requestID)
        ) STRICT;
        CREATE INDEX build_created ON build (createdAt);
        CREATE INDEX build_open ON build (status) WHERE status IN ('queued', 'running');
        CREATE TABLE stage (
            build TEXT NOT NULL REFERENCES build (id) ON DELETE CASCADE,
            number INTEGER NOT NULL,
            name TEXT NOT NULL,
            status TEXT NOT NULL,
            agent TEXT,
            attempts INTEGER NOT NULL,
            placement TEXT,
            PRIMARY KEY (build, number)
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE step (
            build TEXT NOT NULL,
            stage INTEGER NOT NULL,
            number INTEGER NOT NULL,
            name TEXT NOT NULL,
            status TEXT NOT NULL,
            cached INTEGER NOT NULL,
            startedAt INTEGER,
            finishedAt INTEGER,
            exitCode INTEGER,
            key BLOB,
            layer BLOB,
            size INTEGER,
            createdAt INTEGER,
            layerBytes INTEGER NOT NULL,
            contextBytes INTEGER NOT NULL,
            volumeBytes INTEGER NOT NULL,
            PRIMARY KEY (build, stage, number),
            FOREIGN KEY (build, stage) REFERENCES stage (build, number) ON DELETE CASCADE
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE event (
            build TEXT NOT NULL REFERENCES build (id) ON DELETE CASCADE,
            sequence INTEGER NOT NULL,
            body TEXT NOT NULL,
            PRIMARY KEY (build, sequence)
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE duration (
            project TEXT NOT NULL,
            stage TEXT NOT NULL,
            count INTEGER NOT NULL,
            mean REAL NOT NULL,
            PRIMARY KEY (project, stage)
        ) STRICT, WITHOUT ROWID;
        """

    private static let layers = """
        CREATE TABLE layer (
            digest BLOB PRIMARY KEY NOT NULL,
            size INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE record (
            key BLOB PRIMARY KEY NOT NULL,
            layer BLOB NOT NULL,
            size INTEGER NOT NULL,
            createdAt INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX record_created ON record (createdAt);
        CREATE TABLE selection (
            chain BLOB NOT NULL,
            path TEXT NOT NULL,
            wildcards INTEGER NOT NULL,
            digest BLOB NOT NULL,
            PRIMARY KEY (chain, path, wildcards)
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE image (
            name TEXT NOT NULL,
            platform TEXT NOT NULL,
            image TEXT NOT NULL,
            bytes INTEGER NOT NULL,
            importedAt INTEGER NOT NULL,
            PRIMARY KEY (name, platform)
        ) STRICT, WITHOUT ROWID;
        """

    private static let volumes = """
        CREATE TABLE volume (
            project TEXT NOT NULL,
            id TEXT NOT NULL,
            platform TEXT NOT NULL,
            head INTEGER NOT NULL,
            removed INTEGER NOT NULL,
            parent INTEGER NOT NULL,
            digest BLOB,
            bytes INTEGER NOT NULL,
            files INTEGER NOT NULL,
            PRIMARY KEY (project, id, platform)
        ) STRICT, WITHOUT ROWID;
        """

    /// What collection and placement need to know of volumes.
    private static let volumeCare = """
        ALTER TABLE volume ADD COLUMN lastUse INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE volume ADD COLUMN publications TEXT NOT NULL DEFAULT '[]';
        """

    /// As of which context a layer has the repository's files; several images of one build; what of agents' machines may be mounted.
    private static let werf = """
        ALTER TABLE record ADD COLUMN files BLOB;
        ALTER TABLE step ADD COLUMN files BLOB;
        ALTER TABLE build ADD COLUMN images TEXT;
        ALTER TABLE agent ADD COLUMN hostPaths TEXT NOT NULL DEFAULT '[]';
        """

    /// Why stages are where they are, and by how much their durations differ.
    private static let decisions = """
        ALTER TABLE stage ADD COLUMN decision TEXT;
        ALTER TABLE duration ADD COLUMN variance REAL NOT NULL DEFAULT 0;
        """

    /// Stages that were given back, and assignments that go on for another build.
    private static let sharing = """
        ALTER TABLE stage ADD COLUMN excused INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE assignment ADD COLUMN shift INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE assignment ADD COLUMN lastStep INTEGER;
        """

    /// Agents that failed too often.
    private static let setAside = "ALTER TABLE agent ADD COLUMN setAside TEXT"

    /// What agents measured of what they receive; the coordinator is the sender without a name.
    private static let bandwidth = """
        CREATE TABLE bandwidth (
            receiver TEXT NOT NULL,
            sender TEXT NOT NULL,
            rate REAL NOT NULL,
            measuredAt INTEGER NOT NULL,
            PRIMARY KEY (receiver, sender)
        ) STRICT, WITHOUT ROWID;
        """

    /// What stages can reserve on agents, and what these emulate. Until an agent has said it there is nothing to reserve.
    private static let resources = """
        ALTER TABLE agent ADD COLUMN resources TEXT NOT NULL DEFAULT '{"cpus":0,"emulated":[],"memory":0}';
        """

    /// What retention has to know: when builds ended, how large their logs are, how old digests of selections are. And single facts.
    private static let remembering = """
        CREATE TABLE note (
            name TEXT PRIMARY KEY NOT NULL,
            value TEXT NOT NULL
        ) STRICT, WITHOUT ROWID;
        ALTER TABLE build ADD COLUMN logBytes INTEGER;
        ALTER TABLE build ADD COLUMN logRemoved INTEGER NOT NULL DEFAULT 0;
        CREATE INDEX build_finished ON build (finishedAt) WHERE finishedAt IS NOT NULL;
        ALTER TABLE selection ADD COLUMN createdAt INTEGER NOT NULL DEFAULT 0;
        CREATE INDEX selection_created ON selection (createdAt);
        """

    private static let agents = """
        CREATE TABLE agent (
            name TEXT PRIMARY KEY NOT NULL,
            labels TEXT NOT NULL,
            slots INTEGER NOT NULL,
            address TEXT NOT NULL,
            runtime TEXT NOT NULL,
            version TEXT NOT NULL,
            drained INTEGER NOT NULL,
            lastSeen INTEGER NOT NULL,
            epoch TEXT NOT NULL,
            report INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE layerHolder (
            agent TEXT NOT NULL REFERENCES agent (name) ON DELETE CASCADE,
            layer BLOB NOT NULL,
            PRIMARY KEY (agent, layer)
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX layerHolder_layer ON layerHolder (layer);
        CREATE TABLE volumeHolder (
            agent TEXT NOT NULL REFERENCES agent (name) ON DELETE CASCADE,
            project TEXT NOT NULL,
            id TEXT NOT NULL,
            platform TEXT NOT NULL,
            generation INTEGER NOT NULL,
            PRIMARY KEY (agent, project, id, platform)
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE assignment (
            id TEXT PRIMARY KEY NOT NULL,
            build TEXT NOT NULL REFERENCES build (id) ON DELETE CASCADE,
            stage INTEGER NOT NULL,
            agent TEXT NOT NULL,
            epoch TEXT NOT NULL,
            attempt INTEGER NOT NULL,
            firstStep INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE volumeLock (
            lock TEXT PRIMARY KEY NOT NULL,
            assignment TEXT NOT NULL REFERENCES assignment (id) ON DELETE CASCADE,
            agent TEXT NOT NULL,
            needs TEXT NOT NULL,
            forks TEXT NOT NULL
        ) STRICT, WITHOUT ROWID;
        """
}
