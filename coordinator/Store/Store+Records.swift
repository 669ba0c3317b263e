import BuildPlan
import Digests
import FarmAPI
import GRDB

extension Store {
    /// The record of a key; whether its layer is still there is another question.
    public func record(_ key: Digest) async throws -> StoredRecord? {
        try await pool.read { db in
            try Row.fetchOne(db, sql: "SELECT layer, size, createdAt, files FROM record WHERE key = ?", arguments: [key]).map { row in
                StoredRecord(
                    key: key, layer: LayerDescriptor(diffID: try row.value("layer"), size: try row.value("size")),
                    createdAt: try row.value("createdAt"), files: try row.optional("files", Digest.self))
            }
        }
    }

    /// The content digest of a part of the tree with these layers, if anyone has told it.
    public func selection(chain: Digest, path: String, wildcards: Bool) async throws -> Digest? {
        try await pool.read { db in
            try Digest.fetchOne(
                db, sql: "SELECT digest FROM selection WHERE chain = ? AND path = ? AND wildcards = ?", arguments: [chain, path, wildcards])
        }
    }

    /// Stores the image, in place of another of its name and platform.
    public func put(_ image: StoredImage) async throws {
        let change = Change { db in
            try db.execute(
                sql: "INSERT OR REPLACE INTO image (name, platform, image, bytes, importedAt) VALUES (?, ?, ?, ?, ?)",
                arguments: [image.image.name, image.image.platform, JSON(image.image), image.bytes, image.importedAt])
        }
        try await write([change]).durable()
    }

    /// The image of exactly this name and platform.
    public func image(named name: String, platform: Platform) async throws -> StoredImage? {
        try await pool.read { db in
            try Row.fetchOne(db, sql: "SELECT * FROM image WHERE name = ? AND platform = ?", arguments: [name, platform])
                .map { try StoredImage(row: $0) }
        }
    }

    /// All images, by name.
    public func images() async throws -> [StoredImage] {
        try await pool.read { db in
            try Row.fetchAll(db, sql: "SELECT * FROM image ORDER BY name, platform").map { try StoredImage(row: $0) }
        }
    }

    /// Removes the image for all platforms.
    /// - Returns: what was removed; empty when there was no such image.
    public func removeImage(named name: String) async throws -> [StoredImage] {
        let removed = try await images().filter { $0.image.name == name }
        try await write([Change(sql: "DELETE FROM image WHERE name = ?", name)]).durable()
        return removed
    }
}

/// A base image that was imported.
public struct StoredImage: Codable, Sendable, Hashable {
    /// Name, platform, configuration and layers.
    public var image: BaseImage
    /// Of all layers, uncompressed.
    public var bytes: Int64
    /// When it was imported.
    public var importedAt: Timestamp

    /// A row of the image table.
    public init(image: BaseImage, bytes: Int64, importedAt: Timestamp) {
        self.image = image
        self.bytes = bytes
        self.importedAt = importedAt
    }

    init(row: Row) throws {
        let image: JSON<BaseImage> = try row.value("image")
        self.init(image: image.value, bytes: try row.value("bytes"), importedAt: try row.value("importedAt"))
    }
}
