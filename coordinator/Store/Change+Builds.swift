import BuildPlan
import Digests
import FarmAPI
import GRDB

extension Change {
    /// A build that was submitted.
    public static func insert(_ build: StoredBuild) -> Change {
        Change { db in
            try db.cachedStatement(
                sql: """
                    INSERT INTO build (id, project, user, requestID, request, platform, status, uploaded, createdAt)
                    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
                    """
            ).execute(arguments: [
                build.id, build.request.project, build.user, build.request.requestID, JSON(build.request), build.platform,
                build.status.rawValue, build.uploaded, build.createdAt,
            ])
        }
    }

    /// What changes in a build: status, times and result.
    public static func update(_ build: StoredBuild) -> Change {
        Change { db in
            try db.cachedStatement(
                sql: """
                    UPDATE build SET status = ?, uploaded = ?, startedAt = ?, finishedAt = ?, failure = ?, image = ?, images = ? WHERE id = ?
                    """
            ).execute(arguments: [
                build.status.rawValue, build.uploaded, build.startedAt, build.finishedAt, build.failure.map { JSON($0) },
                build.image.map { JSON($0) }, build.images.map { JSON($0) }, build.id,
            ])
        }
    }

    /// The plan of a build, with its stages and steps.
    public static func plan(_ plan: StoredPlan, of build: String) -> Change {
        Change { db in try db.execute(sql: "UPDATE build SET plan = ? WHERE id = ?", arguments: [JSON(plan), build]) }
    }

    /// A stage as it is now.
    public static func put(_ stage: StoredStage) -> Change {
        Change(
            sql: """
                INSERT INTO stage (build, number, name, status, agent, attempts, placement, decision, excused)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
                ON CONFLICT DO UPDATE SET status = excluded.status, agent = excluded.agent, attempts = excluded.attempts,
                    placement = excluded.placement, decision = excluded.decision, excused = excluded.excused
                """, stage.build, stage.number, stage.name, stage.status.rawValue, stage.agent, stage.attempts, stage.placement,
            stage.decision.map { JSON($0) }, stage.excused)
    }

    /// A step as it is now; its stage must be there.
    public static func put(_ step: StoredStep) -> Change {
        Change(
            sql: """
                INSERT OR REPLACE INTO step (build, stage, number, name, status, cached, startedAt, finishedAt, exitCode, key, layer, size,
                    createdAt, layerBytes, contextBytes, volumeBytes, files)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                """, step.build, step.stage, step.number, step.name, step.status.rawValue, step.cached, step.startedAt, step.finishedAt,
            step.exitCode, step.key, step.layer?.diffID, step.layer?.size, step.createdAt, step.bytes.layers, step.bytes.context,
            step.bytes.volumes, step.files)
    }

    /// An event; its sequence must be new in the build.
    public static func append(_ event: EncodedEvent, to build: String) -> Change {
        Change { db in
            try db.cachedStatement(sql: "INSERT INTO event (build, sequence, body) VALUES (?, ?, ?)")
                .execute(arguments: [build, event.event.sequence, String(decoding: event.json(), as: UTF8.self)])
        }
    }

    /// An event; its sequence must be new in the build.
    public static func append(_ event: BuildEvent, to build: String) -> Change { append(EncodedEvent(event), to: build) }

    /// A stage has run for so long.
    public static func put(_ duration: StoredDuration) -> Change {
        Change(
            sql: "INSERT OR REPLACE INTO duration (project, stage, count, mean, variance) VALUES (?, ?, ?, ?, ?)", duration.project,
            duration.stage, duration.count, duration.mean, duration.variance)
    }
}
