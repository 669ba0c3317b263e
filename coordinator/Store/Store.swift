import BuildPlan
import Digests
import FarmAPI

/// The coordinator's database: one SQLite file, one writer, many readers. What it has acknowledged survives a crash.
public final class Store: Sendable {
    /// Opens or creates the file, checks it and brings its schema up to date.
    public init(path: String) throws {}
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
}

extension Store {
    /// Stores the image, in place of another of its name and platform.
    public func put(_ image: StoredImage) async throws {}

    /// The image of exactly this name and platform.
    public func image(named name: String, platform: Platform) async throws -> StoredImage? { nil }

    /// All images, by name.
    public func images() async throws -> [StoredImage] { [] }

    /// Removes the image for all platforms.
    /// - Returns: what was removed.
    public func removeImage(named name: String) async throws -> [StoredImage] { [] }
}
