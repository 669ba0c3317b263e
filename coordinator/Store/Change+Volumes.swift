import BuildPlan
import Digests
import FarmAPI
import GRDB

extension Change {
    /// A volume as it is now.
    public static func put(_ volume: StoredVolume) -> Change {
        // The columns parent and digest are of the first schema; the publications have them now.
        Change(
            sql: """
                INSERT OR REPLACE INTO volume (project, id, platform, head, removed, parent, digest, bytes, files, lastUse, publications)
                VALUES (?, ?, ?, ?, ?, 0, NULL, ?, ?, ?, ?)
                """, volume.key.project, volume.key.id, volume.key.platform, volume.head, volume.removed, volume.bytes, volume.files,
            volume.lastUse, JSON(volume.publications))
    }

    /// A step got the volume; nothing happens where there is none yet.
    public static func setLastUse(_ time: Timestamp, of volume: VolumeKey) -> Change {
        Change(
            sql: "UPDATE volume SET lastUse = ? WHERE project = ? AND id = ? AND platform = ?", time, volume.project, volume.id,
            volume.platform)
    }

    /// The agent has this generation; the agent's row must be there.
    public static func put(_ held: HeldVolume, agent: String) -> Change {
        Change(
            sql: "INSERT OR REPLACE INTO volumeHolder (agent, project, id, platform, generation) VALUES (?, ?, ?, ?, ?)", agent,
            held.key.project, held.key.id, held.key.platform, held.generation)
    }

    /// The agent has no generation of the volume any more.
    public static func remove(volume: VolumeKey, from agent: String) -> Change {
        Change(
            sql: "DELETE FROM volumeHolder WHERE agent = ? AND project = ? AND id = ? AND platform = ?", agent, volume.project, volume.id,
            volume.platform)
    }
}
