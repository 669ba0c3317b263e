import BuildPlan

/// An image that was read, with its layers as uncompressed tar files.
public struct ImportedImage: Sendable {
    /// A layer and the file that has its archive.
    public struct Layer: Sendable, Hashable {
        public var descriptor: LayerDescriptor
        /// In the staging directory.
        public var path: String
    }

    public var config: ImageConfig
    /// One entry that is not empty for each layer.
    public var history: [HistoryEntry]
    public var platform: Platform
    /// Lowest first; the same layer may be there twice.
    public var layers: [Layer]
}
