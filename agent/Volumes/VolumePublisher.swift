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

    /// Takes the mount down, indexes its upper, and publishes. The mount's directory is gone afterwards, also on a throw. The caller keeps
    /// other changes of the volume away.
    ///
    /// - Parameter lock: under which it was written, where that kept all others out.
    func publish(_ mount: OverlayMount, of key: VolumeKey, upon base: VolumeSnapshot?, lock: String?) async throws -> Outcome {
        sync.store.announcements.begin(key)
        defer { sync.store.announcements.end(key) }
        do {
            let outcome = try await publishKeeping(mount, key, base, lock)
            await remove(mount)
            return outcome
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
        _ mount: OverlayMount, _ key: VolumeKey, _ base: VolumeSnapshot?, _ lock: String?
    ) async throws -> Outcome {
        var candidate = try await BlockingPool.shared.run { [logger, store = sync.store] in
            try mount.unmount()
            let lower = try Self.index(of: base)
            let parent = base?.generation ?? 0
            var index = try UpperIndex(
                directory: mount.upper, lower: lower, files: try base?.files(), lists: store.blockLists(of: key), generation: parent)
            let change = try index.index()
            if !index.leftOut.isEmpty {
                let names = index.leftOut.prefix(5).joined(separator: ", ")
                logger.warning(
                    "devices, sockets and paths that are too long are not kept in a volume",
                    metadata: ["volume": "\(key.id)", "paths": "\(names)"])
            }
            let totals = (base?.totals ?? VolumeTotals()).adding(index.growth)
            return Candidate(change: change, lower: base, totals: totals, parent: parent)
        }
        for _ in 0..<Self.rebaseLimit {
            if candidate.change.delta.isEmpty { return .unchanged }
            let made = candidate
            let digest = try await BlockingPool.shared.run { Self.digest(made.change.delta, upon: made.parent) }
            // Nobody could read it.
            guard made.totals.files <= VolumeManifest.entryLimit else {
                throw VolumeError.tooManyEntries(key, count: Int(made.totals.files))
            }
            let request = PublishVolume(
                key: key, digest: digest, parent: made.parent, bytes: made.totals.bytes, files: made.totals.files,
                deltaBytes: made.change.delta.contentBytes, lock: lock)
            switch try await retry.run({ try await coordinator.publish(request) }) {
            case .accepted(let generation):
                try await append(mount, made, to: generation, of: key)
                return .published(generation: generation)
            case .gone: return .gone
            case .stale:
                logger.warning(
                    "what a step wrote to a volume is thrown away: its lock was given to others while this agent was out of reach",
                    metadata: ["volume": "\(key.id)"])
                return .stale
            case .behind(let head, let holders):
                let brought: VolumeSync.Outcome
                do {
                    brought = try await sync.bring(key, to: head, from: holders)
                } catch let error as VolumeError where error.isNoRoom {
                    logger.warning("volume not brought", metadata: ["volume": "\(key.id)", "error": "\(error)"])
                    brought = VolumeSync.Outcome(generation: sync.store.generation(of: key))
                }
                if brought.generation < head {
                    // Waiting for a machine that may never come back would end this volume for everybody.
                    logger.warning(
                        "volume goes on from an older generation",
                        metadata: ["volume": "\(key.id)", "lost": "\(head)", "generation": "\(brought.generation)"])
                }
                candidate = try await BlockingPool.shared.run { [store = sync.store] in
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
        }
        throw VolumeError.conflict("volume \(key.id): others published \(Self.rebaseLimit) times in a row meanwhile")
    }

    private static func index(of snapshot: VolumeSnapshot?) throws -> any GenerationLookup {
        try snapshot?.index() ?? VolumeManifest()
    }

    private func append(_ mount: OverlayMount, _ made: Candidate, to generation: Int, of key: VolumeKey) async throws {
        do {
            try await BlockingPool.shared.run { [store = sync.store] in
                try store.append(
                    mount.upper, change: made.change, to: generation, of: key, upon: made.lower?.generation ?? 0, totals: made.totals)
            }
        } catch {
            // The coordinator takes this agent for a holder, which it is not.
            var change = HoldingsChange()
            let held = sync.store.generation(of: key)
            if held > 0 { change.volumes = [HeldVolume(key: key, generation: held)] } else { change.removedVolumes = [key] }
            try? await coordinator.changeHoldings(change)
            throw error
        }
    }

    /// Names the generation: two agents that made the same of the same are one publication.
    private static func digest(_ delta: DeltaManifest, upon parent: Int) -> Digest { Digest.of("\(parent)\n\(delta.digest)") }
}
