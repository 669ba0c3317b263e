import BlockingIO
import Daemon
import Digests
import FarmAPI
import Layers
import Logging
import Volumes

/// Keeps an agent's disk below its marks, by removing what is needed least.
///
/// First go spares of large files and what is kept of transfers, which only save time; then volumes that another agent has too, then layers,
/// then volumes that only this agent has; of each the longest unused first. The coordinator names the volumes: it alone knows who else has them. What steps use is never taken; and while any step runs, no volume is
/// lost for it: a step that fills the disk shall fail, not eat everybody's caches.
struct DiskKeeper: Sendable {
    let path: String
    let high: DiskMark
    let low: DiskMark
    let volumes: VolumeService
    let layers: LayerStore
    let api: APIClient
    /// Whether stages run here.
    let isBusy: @Sendable () async -> Bool
    /// Told of removed layers.
    let removed: @Sendable ([Digest]) -> Void
    let logger: Logger

    /// Bytes to be freed; nil while all is well.
    ///
    /// - Parameter wanted: bytes that somebody wants to write.
    func excess(wanted: Int64 = 0) -> Int64? {
        guard let disk = DiskSpace(of: path) else { return nil }
        let bytes = volumes.heldBytes
        let above = high.excess(of: disk, volumes: bytes)
        let missing = wanted > 0 ? wanted.subtractingReportingOverflow(disk.available).partialValue : 0
        guard above > 0 || disk.isFull || missing > 0 else { return nil }
        return max(1, above, missing, low.excess(of: disk, volumes: bytes))
    }

    /// The most bytes that can be free, were everything gone that this agent may remove.
    private var attainable: Int64 {
        guard let disk = DiskSpace(of: path) else { return .max }
        var removable = volumes.heldBytes
        if case .share = high { removable = removable.addingReportingOverflow(layers.totalBytes).partialValue }
        let (sum, overflow) = disk.available.addingReportingOverflow(removable)
        return overflow ? .max : sum
    }

    /// Frees what is above the marks, if anything is, and room for what somebody wants to write, unless there can't be so much.
    func relieve(wanted: Int64 = 0) async {
        let wanted = wanted <= attainable ? wanted : 0
        guard let excess = excess(wanted: wanted) else { return }
        logger.warning(
            "the disk is fuller than it shall be: removing what is needed least",
            metadata: ["path": "\(path)", "to free": "\(ByteCount.format(excess))"])
        let spares = await volumes.giveBackSpares(excess)
        if spares > 0 {
            logger.notice(
                "spares of large files and beginnings of transfers removed to have room", metadata: ["bytes": "\(ByteCount.format(spares))"]
            )
        }
        do {
            var gone = try await removeVolumes(lastCopies: false, wanted).count
            if case .share = high, let rest = self.excess(wanted: wanted) {
                let digests = try await BlockingPool.shared.run { [layers] in try layers.collect(keeping: max(0, layers.totalBytes - rest))
                }
                removed(digests)
                if !digests.isEmpty { logger.notice("layers removed to have room", metadata: ["layers": "\(digests.count)"]) }
            }
            if await isBusy() { return }
            let (count, awaited) = try await removeVolumes(lastCopies: true, wanted)
            gone += count
            if let awaited {
                logger.notice(
                    "volumes that are only here go as soon as another agent has them",
                    metadata: ["path": "\(path)", "bytes": "\(ByteCount.format(awaited))"])
            } else if let rest = self.excess(wanted: wanted) {
                logger.error(
                    "the disk stays fuller than it shall be: nothing is left that may go; give it more room, or set volume-high higher",
                    metadata: ["path": "\(path)", "above": "\(ByteCount.format(rest))", "volumes removed": "\(gone)"])
            }
        } catch {
            // Which copies are the last is known to the coordinator only.
            logger.warning("no room could be made", metadata: ["path": "\(path)", "error": "\(error)"])
        }
    }

    /// - Returns: how many are gone, and bytes that may go once another agent has them.
    private func removeVolumes(lastCopies: Bool, _ wanted: Int64) async throws -> (count: Int, awaited: Int64?) {
        guard let excess = excess(wanted: wanted) else { return (0, nil) }
        let idle = await volumes.idle()
        if idle.isEmpty { return (0, nil) }
        let request = CollectVolumes(
            candidates: idle.map { CollectVolumes.Candidate(key: $0.key, bytes: $0.bytes) }, bytes: excess, lastCopies: lastCopies,
            isFull: DiskSpace(of: path)?.isFull)
        let answer = try await api.post(CollectAnswer.self, "/api/v1/agent/volumes/collect", request)
        var count = 0
        for key in answer.volumes where await volumes.collect(key) {
            count += 1
            logger.notice(
                "volume removed to have room",
                metadata: ["project": "\(key.project)", "volume": "\(key.id)", "last copy": "\(lastCopies)"])
        }
        return (count, answer.awaited)
    }
}
