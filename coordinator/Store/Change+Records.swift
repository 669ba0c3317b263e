import BuildPlan
import Digests
import FarmAPI
import GRDB

extension Change {
    /// The record of a key, in place of an older one.
    public static func put(_ record: StoredRecord) -> Change {
        Change(
            sql: "INSERT OR REPLACE INTO record (key, layer, size, createdAt, files) VALUES (?, ?, ?, ?, ?)", record.key,
            record.layer.diffID,
            record.layer.size, record.createdAt, record.files)
    }

    /// The record of a key that has none.
    public static func add(_ record: StoredRecord) -> Change {
        Change(
            sql: "INSERT OR IGNORE INTO record (key, layer, size, createdAt, files) VALUES (?, ?, ?, ?, ?)", record.key,
            record.layer.diffID, record.layer.size, record.createdAt, record.files)
    }

    /// The content digest of a part of a tree, by the chain of its layers. It never changes: an older one stands.
    public static func put(_ selection: SelectionDigest, chain: Digest, at time: Timestamp) -> Change {
        Change(
            sql: "INSERT OR IGNORE INTO selection (chain, path, wildcards, digest, createdAt) VALUES (?, ?, ?, ?, ?)", chain,
            selection.path, selection.wildcards, selection.digest, time)
    }

    /// The agent has the layer; the agent's row must be there.
    public static func add(_ layer: LayerDescriptor, to agent: String) -> Change {
        Change { db in
            try db.cachedStatement(sql: "INSERT OR IGNORE INTO layer (digest, size) VALUES (?, ?)")
                .execute(arguments: [layer.diffID, layer.size])
            try db.cachedStatement(sql: "INSERT OR IGNORE INTO layerHolder (agent, layer) VALUES (?, ?)")
                .execute(arguments: [agent, layer.diffID])
        }
    }

    /// The agent does not have the layer any more.
    public static func remove(layer: Digest, from agent: String) -> Change {
        Change(sql: "DELETE FROM layerHolder WHERE agent = ? AND layer = ?", agent, layer)
    }
}
