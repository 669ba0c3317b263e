import BuildPlan
import Digests
import FarmAPI
import Store

/// The generations of all volumes: a value that numbers deltas into one line of history. Who holds which is the agents' part.
struct VolumeLedger {
    private(set) var volumes: [VolumeKey: StoredVolume] = [:]
    /// ``StoredState/generationFloor``
    private(set) var floor: Int

    init(volumes: [StoredVolume] = [], floor: Int = 0) {
        self.floor = floor
        for volume in volumes { self.volumes[volume.key] = volume }
    }

    /// What became of an announced delta.
    enum Publication: Equatable {
        /// It is the head now.
        case accepted(StoredVolume)
        /// It is a part of the history already: announced again, or by an agent that made the same of the same.
        case known(generation: Int)
        /// Others were first.
        case behind(head: Int)
        /// The volume was removed after the agent had taken it.
        case gone
        /// Its agent has no lock of the volume, or no longer.
        case stale
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

    /// Bytes that the newest generations changed, the head's first; as many as are known without a gap.
    func changes(of key: VolumeKey) -> [Int64] {
        guard let volume = volumes[key], volume.head > volume.removed else { return [] }
        var bytes: [Int64] = []
        for publication in volume.publications.reversed() {
            guard publication.generation == volume.head - bytes.count else { break }
            bytes.append(publication.bytes)
        }
        return bytes
    }

    /// A delta upon `parent`. It is accepted upon the head only, once.
    ///
    /// - Parameter isHeld: false where its agent has no lock of the volume, or not the one under which it was written.
    mutating func publish(_ publication: PublishVolume, at time: Timestamp, isHeld: Bool = true) -> Publication {
        var volume = volumes[publication.key] ?? StoredVolume(key: publication.key)
        let head = head(of: publication.key)
        if let same = volume.publications.last(where: { $0.digest == publication.digest && $0.parent == publication.parent }) {
            return .known(generation: same.generation)
        }
        if publication.parent > 0, publication.parent <= volume.removed { return .gone }
        guard isHeld else { return .stale }
        guard publication.parent == head else { return .behind(head: head) }
        volume.head = max(volume.head, floor) + 1
        volume.bytes = max(0, publication.bytes)
        volume.files = max(0, publication.files)
        volume.lastUse = max(volume.lastUse, time)
        volume.publications.append(
            StoredVolume.Publication(
                generation: volume.head, parent: publication.parent, digest: publication.digest, bytes: max(0, publication.deltaBytes),
                time: time))
        if volume.publications.count > StoredVolume.publicationLimit { volume.publications.removeFirst() }
        volumes[publication.key] = volume
        return .accepted(volume)
    }

    /// A step got the volume.
    /// - Returns: false where there is none yet.
    mutating func used(_ key: VolumeKey, at time: Timestamp) -> Bool {
        guard head(of: key) > 0 else { return false }
        volumes[key]?.lastUse = time
        return true
    }

    /// What an agent has of a part of the history that this ledger does not know, because it was restored from a backup.
    struct Found: Equatable {
        var volume: StoredVolume
        /// Where the numbers had to be raised: the ledger was older than it knew.
        var floor: Int?
    }

    /// Takes a generation that is newer than the ledger for the head: all numbers up to ``floor`` were given once and by one line of
    /// history, so that it is what the number says. nil for one that is of no such part.
    ///
    /// A generation above the floor can only mean that the database was brought back to an earlier state by other means than a backup:
    /// then the floor is raised, so that the numbers that were given meanwhile are not given again.
    mutating func adopt(_ held: HeldVolume) -> Found? {
        guard held.generation <= Restoration.largestGeneration, held.generation > head(of: held.key) else { return nil }
        var volume = volumes[held.key] ?? StoredVolume(key: held.key)
        guard held.generation > max(volume.head, volume.removed) else { return nil }
        var raised: Int?
        if held.generation > floor {
            // Of a volume that nobody here knows: another farm's, more likely than a lost part of this one's history.
            guard volumes[held.key] != nil, volume.head <= Restoration.largestGeneration - Restoration.leastGap else { return nil }
            floor = min(held.generation + Restoration.leastGap, Restoration.largestGeneration)
            raised = floor
        }
        volume.head = held.generation
        // What it was made from is not known, nor how large it is.
        volume.publications = []
        volumes[held.key] = volume
        return Found(volume: volume, floor: raised)
    }

    /// Ends the volume's history. Its numbers go on, so that what an absent agent still has is never taken for something new.
    mutating func remove(_ key: VolumeKey) -> StoredVolume? {
        guard var volume = volumes[key], volume.head > volume.removed else { return nil }
        // Also what a lost part of the history had numbered is of what was removed.
        volume.head = max(volume.head, floor)
        volume.removed = volume.head
        volume.publications = []
        volume.bytes = 0
        volume.files = 0
        volumes[key] = volume
        return volume
    }

    /// Volumes that are there, by project and id.
    var current: [StoredVolume] {
        living.sorted { a, b in
            if a.key.project != b.key.project { return a.key.project < b.key.project }
            if a.key.id != b.key.id { return a.key.id < b.key.id }
            return a.key.platform.description < b.key.platform.description
        }
    }

    /// The same in any order.
    var living: some Sequence<StoredVolume> { volumes.values.lazy.filter { $0.head > $0.removed } }
}
