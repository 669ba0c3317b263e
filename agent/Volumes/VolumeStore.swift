import FarmAPI

/// The volumes on this agent's disk: for each the newest generation that it has, as a stack of immutable directories.
public final class VolumeStore: Sendable {
    /// Opens the store, which may not exist, and removes what a crash left half done. Blocks.
    public init(directory: String) throws { fatalError("not built yet") }

    /// All generations here, for ``AgentHello``.
    public func held() -> [HeldVolume] { fatalError("not built yet") }
}
