import BuildPlan
import Digests
import FarmAPI
import GRDB

extension Change {
    /// A volume as it is now.
    public static func put(_ volume: StoredVolume) -> Change {
        Change(
            sql: """
                INSERT OR REPLACE INTO volume (project, id, platform, head, removed, parent, digest, bytes, files)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
                """, volume.key.project, volume.key.id, volume.key.platform, volume.head, volume.removed, volume.parent, volume.digest,
            volume.bytes, volume.files)
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
