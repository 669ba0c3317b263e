import FarmAPI
import Logging

/// Volumes for the steps of this agent: brought up to date, mounted, published.
public actor VolumeService: VolumeLeasing {
    public init(store: VolumeStore, coordinator: any CoordinatorVolumes, peers: PeerClient, logger: Logger) { fatalError("not built yet") }

    public func acquire(_ requests: [VolumeRequest], assignment: String, lock: String) async throws -> VolumeLease {
        fatalError("not built yet")
    }

    public func release(_ lease: VolumeLease) async throws { fatalError("not built yet") }

    /// Removes the volume from this disk; one that is in use goes when its last user leaves.
    public func drop(_ key: VolumeKey) async { fatalError("not built yet") }

    /// All generations here, for ``AgentHello``.
    public nonisolated func held() -> [HeldVolume] { fatalError("not built yet") }
}
