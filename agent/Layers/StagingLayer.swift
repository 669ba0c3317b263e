/// Room for a layer that is being made: an upper directory, and the work directory that overlayfs wants beside it.
///
/// It ends by ``LayerStore/commit(_:)`` or ``LayerStore/discard(_:)``; what a crash leaves is removed when the store is opened.
public struct StagingLayer: Sendable, Hashable {
    /// The directory of both, relative to the store's: short enough for mount options.
    public let name: String
    /// Absolute if the store's directory is.
    public let upper: String
    /// Absolute if the store's directory is.
    public let work: String
    let path: String

    init(name: String, in store: String) {
        self.name = name
        path = store + "/" + name
        upper = path + "/upper"
        work = path + "/work"
    }
}
