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
    }

    /// Takes the mount down, indexes its upper, and publishes. The mount's directory is gone afterwards, also on a throw. The caller keeps
    /// other changes of the volume away.
    func publish(_ mount: OverlayMount, of key: VolumeKey, upon base: VolumeSnapshot?) async throws -> Outcome {
        sync.store.announcements.begin(key)
        defer { sync.store.announcements.end(key) }
        do {
            let outcome = try await publishKeeping(mount, key, base)
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
        var delta: DeltaManifest
        /// The generation here that the delta stands upon.
        var base: Int
        var lower: VolumeManifest
        /// The generation that it shall follow in the coordinator's history: `base`, or a head that nobody can give any more.
        var parent: Int
    }

    private func publishKeeping(_ mount: OverlayMount, _ key: VolumeKey, _ base: VolumeSnapshot?) async throws -> Outcome {
        var candidate = try await BlockingPool.shared.run { [logger] in
            try mount.unmount()
            let lower = try base?.manifest() ?? VolumeManifest()
            let parent = base?.generation ?? 0
            var index = try UpperIndex(directory: mount.upper, lower: lower, generation: parent)
            let delta = try index.index()
            if !index.leftOut.isEmpty {
                let names = index.leftOut.prefix(5).joined(separator: ", ")
                logger.warning("devices and sockets are not kept in a volume", metadata: ["volume": "\(key.id)", "paths": "\(names)"])
            }
            return Candidate(delta: delta, base: parent, lower: lower, parent: parent)
        }
        for _ in 0..<Self.rebaseLimit {
            if candidate.delta.isEmpty { return .unchanged }
            let made = candidate
            let (digest, manifest) = try await BlockingPool.shared.run { () -> (Digest, VolumeManifest) in
                (Self.digest(made.delta, upon: made.parent), made.lower.applying(made.delta))
            }
            let request = PublishVolume(
                key: key, digest: digest, parent: made.parent, bytes: manifest.contentBytes, files: Int64(manifest.entries.count),
                deltaBytes: made.delta.contentBytes)
            switch try await retry.run({ try await coordinator.publish(request) }) {
            case .accepted(let generation):
                try await append(mount, made, to: generation, of: key, manifest)
                return .published(generation: generation)
            case .gone: return .gone
            case .behind(let head, let holders):
                let brought = try await sync.bring(key, to: head, from: holders)
                if brought.generation < head {
                    // Waiting for a machine that may never come back would end this volume for everybody.
                    logger.warning(
                        "volume goes on from an older generation",
                        metadata: ["volume": "\(key.id)", "lost": "\(head)", "generation": "\(brought.generation)"])
                }
                candidate = try await BlockingPool.shared.run { [store = sync.store] in
                    let newest = store.snapshot(of: key)
                    let manifest = try newest?.manifest() ?? VolumeManifest()
                    let base = newest?.generation ?? 0
                    let parent = max(base, head)
                    // The other side has numbered its hard links too.
                    let rebased = made.delta.rebased(from: made.lower, onto: manifest).numberingLinks(after: parent)
                    try DeltaDirectory.rebase(mount.upper, from: made.delta, to: rebased, upon: manifest)
                    return Candidate(delta: rebased, base: base, lower: manifest, parent: parent)
                }
            }
        }
        throw VolumeError.conflict("volume \(key.id): others published \(Self.rebaseLimit) times in a row meanwhile")
    }

    private func append(
        _ mount: OverlayMount, _ made: Candidate, to generation: Int, of key: VolumeKey, _ manifest: VolumeManifest
    ) async throws {
        do {
            try await BlockingPool.shared.run { [store = sync.store] in
                try store.append(mount.upper, delta: made.delta, to: generation, of: key, upon: made.base, manifest: manifest)
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
