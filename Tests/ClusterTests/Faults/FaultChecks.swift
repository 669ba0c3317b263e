import FarmAPI
import Glibc
import Testing

/// What must be so in a farm that has nothing to do.
struct FaultChecks: Sendable {
    let farm: FaultFarm
    private var database: String { farm.folder.path("farm/coordinator/data/farm.sqlite") }

    func all(marker: String) async throws {
        try await store()
        try await volumes()
        try await agents(marker: marker)
    }

    /// The database is sound, and no build, assignment or lock is left open in it.
    func store() async throws {
        try await soundness()
        for (table, condition) in [
            ("build", "status IN ('queued', 'running')"), ("assignment", "1"), ("volumeLock", "1"),
            ("stage", "status IN ('queued', 'running')"),
            ("step", "status IN ('queued', 'running')"),
        ] {
            try await eventually("no open \(table) is left in the database") {
                try await query("SELECT count(*) FROM \(table) WHERE \(condition)") == "0"
            }
        }
        let events = try await query(
            "SELECT count(*) FROM (SELECT build FROM event GROUP BY build HAVING count(*) <> max(sequence))")
        try demand(events == "0", "the events of a build are numbered without gaps")
    }

    /// SQLite's own checks.
    func soundness() async throws {
        for (check, sound) in [("integrity_check", "ok"), ("foreign_key_check", "")] {
            let found = try await query("PRAGMA \(check)")
            try demand(found == sound, "PRAGMA \(check): \(found)")
        }
    }

    private func query(_ text: String) async throws -> String {
        let asked = try await Command.run(["sqlite3", "-cmd", ".timeout 10000", database, text])
        try #require(asked.status == 0, "\(asked.testDescription)")
        return asked.line
    }

    /// Every agent has what it says it has, byte by byte.
    func volumes() async throws {
        if try await farm.cluster.volumes(of: FaultBuild.project).isEmpty { return }
        let verified = try await farm.cluster.farm("volumes", "verify", FaultBuild.project, timeLimit: .seconds(60))
        try demand(verified.status == 0 && !verified.output.contains("repaired"), "\(verified.testDescription)")
    }

    /// Nothing of a step is left: no process, no mount, no file.
    func agents(marker: String) async throws {
        try await eventually("no process of a step is left") {
            try await Command.run(["pgrep", "-f", marker]).status == 1
        }
        for agent in farm.agents {
            let data = farm.folder.path("farm/\(agent.name)/data")
            try await eventually("no mount of a step is left on \(agent.name)") {
                guard let process = agent.daemon.process, let mounts = TemporaryFolder.read("/proc/\(process)/mounts") else { return false }
                return !mounts.split(separator: "\n").contains { line in
                    line.split(separator: " ").dropFirst().first.map { $0.hasPrefix(data) } ?? false
                }
            }
            try await eventually("no file of a step is left on \(agent.name)") {
                let found = try await Command.run([
                    "find", "\(data)/work", "\(data)/mounts", "\(data)/volumes", "-mindepth", "1", "(", "-path", "\(data)/work/*", "-o",
                    "-path", "\(data)/mounts/*", "-o", "-name", "tmp-*", ")",
                ])
                return found.status == 0 && found.output.isEmpty
            }
        }
        let own = TemporaryFolder.read("/proc/self/mounts") ?? ""
        try demand(!own.contains("\(farm.folder.root)/farm/agent-1/data"), "agents mount in their own namespaces only")
    }
}
