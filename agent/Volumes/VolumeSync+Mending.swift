import BlockingIO
import FarmAPI
import Glibc
import TreeSync

// Parts of a generation brought again, because they are damaged here.
extension VolumeSync {
    /// Brings what is damaged of a volume from others, and makes a new base of it and what is not damaged. Until that is done everything
    /// stays as it is. The caller keeps other changes of the volume away, and it is not mounted.
    ///
    /// Throws where a holder may have it but does not give it now.
    ///
    /// - Returns: false where nobody has it undamaged.
    func mend(_ key: VolumeKey, _ damaged: Set<TreePath>, to head: Int, from holders: [Holder]) async throws -> Bool {
        // Only the newest generation can be had.
        let notes = try await bring(key, to: max(head, store.generation(of: key)), from: holders).reasons
        guard let snapshot = store.snapshot(of: key) else { throw VolumeError.conflict("volume \(key.id) is not here any more") }
        let wanted = try await BlockingPool.shared.run { [store] in try store.wanted(damaged, of: snapshot) }
        guard !wanted.isEmpty else {
            try await BlockingPool.shared.run { [store] in try store.compact(key, mended: []) }
            return true
        }
        var reasons = notes
        var mayComeLater = false
        for holder in holders where (holder.generation ?? head) >= snapshot.generation {
            do {
                try await mend(snapshot, with: wanted, from: holder)
                return true
            } catch {
                try Task.checkCancellation()
                if !Self.isDamage(error) { mayComeLater = true }
                reasons.append("agent \(holder.agent) could not give it: \(error)")
            }
        }
        let said = reasons.joined(separator: "; ")
        if mayComeLater { throw VolumeError.conflict(said) }
        logger.notice("nobody has undamaged what is damaged here", metadata: ["volume": "\(key.id)", "reasons": "\(said)"])
        return false
    }

    /// Whether a holder's own files are not what they should be.
    private static func isDamage(_ error: any Error) -> Bool {
        switch error {
        case TreeSyncError.digestMismatch, TreeSyncError.contentGone: true
        default: false
        }
    }

    private func mend(_ snapshot: VolumeSnapshot, with wanted: DeltaManifest, from holder: Holder) async throws {
        let (store, key) = (store, snapshot.key)
        let staging = try await BlockingPool.shared.run { try store.makeStaging(of: key) }
        do {
            let (fetch, first) = try await BlockingPool.shared.run { () -> (DeltaFetch, DeltaFetch.Round) in
                // Nothing that is here is taken for it: it may be what is damaged.
                let fetch = try DeltaFetch(
                    delta: wanted, local: VolumeManifest(), files: GenerationFiles(layers: []), directory: staging,
                    lists: store.blockLists(of: key))
                return (fetch, try fetch.prepare(room: Self.room(staging)))
            }
            var round = first
            for _ in 0..<Self.roundLimit where !round.isEmpty {
                let asked = round
                let room = try await BlockingPool.shared.run { try Self.check(fetch.writtenBytes(asked), for: key, staging) }
                round = try await peers.fetch(
                    asked, of: fetch, from: holder, key: key, generation: snapshot.generation, room: room
                ).again
            }
            guard round.isEmpty else { throw TreeSyncError.digestMismatch(path: "\(round.count) files") }
            try await BlockingPool.shared.run {
                try fetch.finish()
                try VolumeFiles.write(wanted.encoded(), to: staging + ".manifest")
                try store.compact(key, mended: [staging])
                try Self.remove(staging)
            }
        } catch {
            try? await BlockingPool.shared.run { try Self.remove(staging) }
            throw error
        }
    }

    private static func remove(_ staging: String) throws {
        unlink(staging + ".manifest")
        try RemoveTree.remove(staging)
    }
}
