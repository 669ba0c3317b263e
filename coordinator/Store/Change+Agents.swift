import BuildPlan
import Digests
import FarmAPI
import GRDB

extension Change {
    /// An agent as it is now.
    public static func put(_ agent: StoredAgent) -> Change {
        Change { db in
            try db.cachedStatement(
                sql: """
                    INSERT INTO agent (name, labels, slots, address, runtime, version, hostPaths, resources, drained, lastSeen, epoch,
                        report)
                    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                    ON CONFLICT DO UPDATE SET labels = excluded.labels, slots = excluded.slots, address = excluded.address,
                        runtime = excluded.runtime, version = excluded.version, hostPaths = excluded.hostPaths,
                        resources = excluded.resources, drained = excluded.drained, lastSeen = excluded.lastSeen, epoch = excluded.epoch, report = excluded.report
                    """
            ).execute(arguments: [
                agent.name, JSON(agent.labels), agent.slots, agent.address, agent.runtime, agent.version, JSON(agent.hostPaths),
                JSON(agent.resources), agent.drained, agent.lastSeen, agent.epoch, agent.report,
            ])
        }
    }

    /// Reports of the agent's epoch up to this one are stored.
    public static func setReport(_ report: Int, of agent: String, at time: Timestamp) -> Change {
        Change(sql: "UPDATE agent SET report = ?, lastSeen = ? WHERE name = ?", report, time, agent)
    }

    /// The agent gets no stages for a while; nil: it does.
    public static func put(_ setAside: StoredSetAside?, of agent: String) -> Change {
        Change(sql: "UPDATE agent SET setAside = ? WHERE name = ?", setAside.map { JSON($0) }, agent)
    }

    /// What an agent receives from another machine.
    public static func put(_ bandwidth: StoredBandwidth) -> Change {
        Change(
            sql: "INSERT OR REPLACE INTO bandwidth (receiver, sender, rate, measuredAt) VALUES (?, ?, ?, ?)", bandwidth.to,
            bandwidth.from ?? "", bandwidth.rate, bandwidth.measuredAt)
    }

    /// Measurements that are too old to expect anything of.
    public static func removeBandwidths(measuredBefore time: Timestamp) -> Change {
        Change(sql: "DELETE FROM bandwidth WHERE measuredAt < ?", time)
    }

    /// The agent has a stage now.
    public static func insert(_ assignment: StoredAssignment) -> Change {
        Change(
            sql: "INSERT INTO assignment (id, build, stage, agent, epoch, attempt, firstStep) VALUES (?, ?, ?, ?, ?, ?, ?)", assignment.id,
            assignment.build, assignment.stage, assignment.agent, assignment.epoch, assignment.attempt, assignment.firstStep)
    }

    /// The assignment is another build's now, or nobody's. Its locks stay.
    public static func update(_ assignment: StoredAssignment) -> Change {
        Change(
            sql: "UPDATE assignment SET build = ?, stage = ?, attempt = ?, firstStep = ?, shift = ?, lastStep = ? WHERE id = ?",
            assignment.build, assignment.stage, assignment.attempt, assignment.firstStep, assignment.shift, assignment.lastStep,
            assignment.id)
    }

    /// The assignment has ended, and with it its locks.
    public static func removeAssignment(_ id: String) -> Change { Change(sql: "DELETE FROM assignment WHERE id = ?", id) }

    /// A step was granted volumes; its assignment must be there.
    public static func put(_ lock: StoredLock) -> Change {
        Change { db in
            try db.execute(
                sql: "INSERT OR REPLACE INTO volumeLock (lock, assignment, agent, needs, forks) VALUES (?, ?, ?, ?, ?)",
                arguments: [lock.lock, lock.assignment, lock.agent, JSON(lock.needs), JSON(lock.forks)])
        }
    }

    /// The step gave its volumes back.
    public static func removeLock(_ lock: String) -> Change { Change(sql: "DELETE FROM volumeLock WHERE lock = ?", lock) }
}
