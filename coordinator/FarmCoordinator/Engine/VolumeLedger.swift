import BuildPlan
import Digests
import FarmAPI
import Store

/// The generations of all volumes: a value that numbers deltas into one line of history. Who holds which is the agents' part.
struct VolumeLedger {
    private(set) var volumes: [VolumeKey: StoredVolume] = [:]

    init(volumes: [StoredVolume] = []) {
        for volume in volumes { self.volumes[volume.key] = volume }
    }

    /// What became of an announced delta.
    enum Publication: Equatable {
        /// It is the head now.
        case accepted(StoredVolume)
        /// It was the head already.
        case known(generation: Int)
        /// Others were first.
        case behind(head: Int)
        /// The volume was removed after the agent had taken it.
        case gone
    }

    /// The newest generation; 0 for a volume that is new or was removed.
    func head(of key: VolumeKey) -> Int {
        guard let volume = volumes[key], volume.head > volume.removed else { return 0 }
        return volume.head
    }

    /// True for a generation that is part of the volume's history as it stands.
    func isCurrent(_ held: HeldVolume) -> Bool {
        guard let volume = volumes[held.key] else { return false }
        return held.generation > volume.removed && held.generation <= volume.head
    }

    /// A delta upon `parent`. It is accepted upon the head only, once.
    mutating func publish(_ publication: PublishVolume) -> Publication {
        var volume = volumes[publication.key] ?? StoredVolume(key: publication.key)
        let head = head(of: publication.key)
        if head > 0, volume.digest == publication.digest, volume.parent == publication.parent { return .known(generation: head) }
        if publication.parent > 0, publication.parent <= volume.removed { return .gone }
        guard publication.parent == head else { return .behind(head: head) }
        volume.head += 1
        volume.parent = publication.parent
        volume.digest = publication.digest
        volume.bytes = max(0, publication.bytes)
        volume.files = max(0, publication.files)
        volumes[publication.key] = volume
        return .accepted(volume)
    }

    /// Ends the volume's history. Its numbers go on, so that what an absent agent still has is never taken for something new.
    mutating func remove(_ key: VolumeKey) -> StoredVolume? {
        guard var volume = volumes[key], volume.head > volume.removed else { return nil }
        volume.removed = volume.head
        volume.digest = nil
        volume.bytes = 0
        volume.files = 0
        volumes[key] = volume
        return volume
    }

    /// Volumes that are there, by project and id.
    var current: [StoredVolume] {
        volumes.values.filter { $0.head > $0.removed }.sorted {
            ($0.key.project, $0.key.id, $0.key.platform.description) < ($1.key.project, $1.key.id, $1.key.platform.description)
        }
    }
}
