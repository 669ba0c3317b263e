import BlockingIO
import Digests
import FarmAPI
import Logging
import TreeSync

/// Makes a generation of what steps wrote, and the coordinator's history longer by it.
struct VolumePublisher: Sendable {
    let sync: VolumeSync
    let coordinator: any CoordinatorVolumes
    let retry: RetryPolicy
    let logger: Logger

    /// Each round means that another agent published in between; more than this many in a row is no race any more.
    private static let rebaseLimit = 20

    /// What became of a mount.
    enum Outcome: Sendable {
        case unchanged
        case published(generation: Int)
        /// The coordinator no longer has the volume.
        case gone
        /// The lock was lost: what was written is thrown away.
        case stale
    }

    /// An outcome, and what the step's output says of it.
    struct Publication: Sendable {
        var outcome: Outcome
        /// What is not saved, or otherwise than wished.
        var notes: [String]
    }

    /// Takes the mount down, indexes its upper, and publishes. The mount's directory is gone afterwards, also on a throw. The caller keeps
    /// other changes of the volume away.
    ///
    /// Throws where the change is given up. Never is what others published given up for it: only where the coordinator says that nobody who
    /// can be reached has the head does the volume go on from an older generation.
    ///
    /// - Parameters:
    ///   - lock: under which it was written, where that kept all others out.
    ///   - makeRoom: makes room for so many bytes, where it can.
    func publish(
        _ mount: OverlayMount, of key: VolumeKey, upon base: VolumeSnapshot?, lock: String?, makeRoom: @Sendable (Int64) async -> Void
    ) async throws -> Publication {
        do {
            let result = try await publishKeeping(mount, key, base, lock, makeRoom)
            await remove(mount)
            return result
        } catch {
            await remove(mount)
            throw error
        }
    }

    private func remove(_ mount: OverlayMount) async {
        do {
            try await BlockingPool.shared.run {
                mount.detach()
                try RemoveTree.remove(mount.directory)
            }
        } catch {
            logger.warning("leftover of a volume stays", metadata: ["directory": "\(mount.directory)", "error": "\(error)"])
        }
    }

    private struct Candidate: Sendable {
        var change: GenerationChange
        /// The generation here that the change stands upon; nil for none.
        var lower: VolumeSnapshot?
        var totals: VolumeTotals
        /// The generation that it shall follow in the coordinator's history: `lower`, or a head that nobody can give any more.
        var parent: Int
    }

    private func publishKeeping(
        _ mount: OverlayMount, _ key: VolumeKey, _ base: VolumeSnapshot?, _ lock: String?, _ makeRoom: @Sendable (Int64) async -> Void
    ) async throws -> Publication {
        var (candidate, notes) = try await index(mount, key, base)
        var rebases = 0
        var chase = Chase(patience: sync.store.settings.holderPatience)
        var announced: (request: PublishVolume, files: VolumeStore.Prepared)?
        while rebases < Self.rebaseLimit {
            if candidate.change.delta.isEmpty { return Publication(outcome: .unchanged, notes: notes) }
            let made = candidate
            let (request, files) = try await announced.orMake { try await prepare(mount, made, of: key, lock: lock) }
            announced = (request, files)
            switch try await announce(request, files) {
            case .accepted(let generation):
                return Publication(outcome: .published(generation: generation), notes: notes)
            case .gone:
                notes.append("volume \(key.id) was removed meanwhile, and what this step wrote to it with it")
                return Publication(outcome: .gone, notes: notes)
            case .stale:
                notes.append(
                    "volume \(key.id): what this step wrote is thrown away: its lock was given to others while this agent was out of reach")
                return Publication(outcome: .stale, notes: notes)
            case .behind(let head, let holders):
                let brought = try await bring(key, to: head, from: holders, makeRoom)
                // Who is lost to the coordinator is not named.
                let attainable = min(head, holders.map { $0.generation ?? head }.max() ?? 0)
                guard brought.generation >= attainable else {
                    try await chase.pause(key, head: head, brought.reasons)
                    continue
                }
                if attainable < head {
                    // Waiting for a machine that may never come back would end this volume for everybody.
                    notes.append(
                        "volume \(key.id): no agent that can be reached has generation \(head); what this step wrote goes on from "
                            + (brought.generation == 0 ? "an empty volume" : "generation \(brought.generation)"))
                }
                candidate = try await rebase(mount, made, key, head)
                rebases += 1
                announced = nil
                chase = Chase(patience: sync.store.settings.holderPatience)
            }
        }
        throw VolumeError.conflict("others published \(Self.rebaseLimit) times in a row meanwhile")
    }

    private func index(
        _ mount: OverlayMount, _ key: VolumeKey, _ base: VolumeSnapshot?
    ) async throws -> (candidate: Candidate, notes: [String]) {
        try await BlockingPool.shared.run { [store = sync.store] in
            try mount.unmount()
            let lower = try Self.index(of: base)
            let parent = base?.generation ?? 0
            var index = try UpperIndex(
                directory: mount.upper, lower: lower, files: try base?.files(), lists: store.blockLists(of: key), generation: parent,
                sparseBytes: base?.sparseBytes ?? 0, sparseLimit: store.settings.sparseLimit)
            let change = try index.index()
            let totals = (base?.totals ?? VolumeTotals()).adding(index.growth)
            return (Candidate(change: change, lower: base, totals: totals, parent: parent), Self.note(leftOut: index.leftOut, of: key))
        }
    }

    private static let namedPaths = 5

    /// For the step's output: what volumes don't keep.
    static func note(leftOut: [String], of key: VolumeKey) -> [String] {
        guard !leftOut.isEmpty else { return [] }
        let more = leftOut.count > namedPaths ? " and \(leftOut.count - namedPaths) more" : ""
        return [
            "volume \(key.id) does not keep devices, sockets, paths that are too long, files of more than \(FileContent.sizeLimit >> 40) TiB and "
                + "more than \(DeltaFetch.sparseLimit >> 40) TiB of holes: "
                + leftOut.prefix(namedPaths).joined(separator: ", ") + more
        ]
    }

    /// Writes what is to be published, which goes with the mount's directory, and says what it is.
    private func prepare(
        _ mount: OverlayMount, _ made: Candidate, of key: VolumeKey, lock: String?
    ) async throws -> (request: PublishVolume, files: VolumeStore.Prepared) {
        // Nobody could read it.
        guard made.totals.files <= VolumeManifest.entryLimit else {
            throw VolumeError.tooManyEntries(key, count: Int(made.totals.files))
        }
        let (digest, files) = try await BlockingPool.shared.run { [store = sync.store] in
            (
                Self.digest(made.change.delta, upon: made.parent),
                try store.prepare(
                    mount.upper, change: made.change, of: key, upon: made.lower?.generation ?? 0, totals: made.totals)
            )
        }
        let request = PublishVolume(
            key: key, digest: digest, parent: made.parent, bytes: made.totals.bytes, files: made.totals.files,
            deltaBytes: made.change.delta.contentBytes, lock: lock)
        return (request, files)
    }

    /// Brings what others published; where the disk has no room for it, once more after room was made.
    private func bring(
        _ key: VolumeKey, to head: Int, from holders: [Holder], _ makeRoom: @Sendable (Int64) async -> Void
    ) async throws -> VolumeSync.Outcome {
        do {
            return try await sync.bring(key, to: head, from: holders)
        } catch VolumeError.noRoom(_, let needed, _) {
            await makeRoom(needed)
            return try await sync.bring(key, to: head, from: holders)
        }
    }

    /// Puts a change upon what is here now, to follow the head.
    private func rebase(_ mount: OverlayMount, _ made: Candidate, _ key: VolumeKey, _ head: Int) async throws -> Candidate {
        try await BlockingPool.shared.run { [store = sync.store] in
            let newest = store.snapshot(of: key)
            let there = try Self.index(of: newest)
            let parent = max(newest?.generation ?? 0, head)
            // The other side has numbered its hard links too.
            let rebased = try made.change.rebased(from: try Self.index(of: made.lower), onto: there)
                .numberingLinks(after: parent)
            try DeltaDirectory.rebase(mount.upper, from: made.change.delta, to: rebased.delta, upon: there)
            let totals = try (newest?.totals ?? VolumeTotals()).applying(rebased.delta, upon: there)
            return Candidate(change: rebased, lower: newest, totals: totals, parent: parent)
        }
    }

    private static func index(of snapshot: VolumeSnapshot?) throws -> any GenerationLookup {
        try snapshot?.index() ?? VolumeManifest()
    }

    /// Asks for a number, and makes what gets one a generation here.
    private func announce(_ request: PublishVolume, _ files: VolumeStore.Prepared) async throws -> PublishAnswer {
        let (store, key) = (sync.store, request.key)
        store.announcements.begin(key)
        var isHolder = false
        do {
            let answer = try await retry.run { try await coordinator.publish(request) }
            if case .accepted(let generation) = answer {
                isHolder = true
                try await BlockingPool.shared.run { try store.append(files, to: generation, of: key) }
            }
            if store.announcements.end(key) { await tellHeld(key) }
            return answer
        } catch {
            // The coordinator takes this agent for a holder, which it is not. Once it knows better, the history goes on from what others have.
            if store.announcements.end(key) || isHolder { await tellHeld(key) }
            throw error
        }
    }

    private func tellHeld(_ key: VolumeKey) async {
        let change = HoldingsChange(of: key, generation: sync.store.generation(of: key))
        try? await retry.run { try await coordinator.changeHoldings(change) }
    }

    /// Names the generation: two agents that made the same of the same are one publication.
    private static func digest(_ delta: DeltaManifest, upon parent: Int) -> Digest { Digest.of("\(parent)\n\(delta.digest)") }
}

/// Attempts to get a head from holders that the coordinator can reach: one that starts again, or has much to do, gives it a little later.
private struct Chase {
    let patience: Duration
    private let start = ContinuousClock.now
    private var next = Chase.firstPause

    private static let firstPause = Duration.milliseconds(200)
    private static let longestPause = Duration.seconds(5)

    init(patience: Duration) { self.patience = patience }

    /// Waits before the next attempt, longer each time; throws when there shall be none.
    mutating func pause(_ key: VolumeKey, head: Int, _ notes: [String]) async throws {
        guard ContinuousClock.now - start < patience else {
            throw VolumeError.conflict(
                "generation \(head), which other agents have, could not be brought: \(notes.joined(separator: "; "))")
        }
        try await Task.sleep(for: next)
        next = min(next * 2, Self.longestPause)
    }
}

extension Optional {
    fileprivate func orMake(_ make: () async throws -> Wrapped) async rethrows -> Wrapped {
        if let self { self } else { try await make() }
    }
}
