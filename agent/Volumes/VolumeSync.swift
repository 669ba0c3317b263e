import BlockingIO
import CLinux
import FarmAPI
import Glibc
import Logging
import Transport
import TreeSync

/// Brings newer generations of volumes here from other agents.
struct VolumeSync: Sendable {
    let store: VolumeStore
    let peers: PeerClient
    let coordinator: any CoordinatorVolumes
    let logger: Logger

    /// What bringing came to.
    struct Outcome: Sendable {
        var generation: Int
        var received: Int64 = 0
        /// What went otherwise than wished, for the log of the step.
        var notes: [String] = []
        /// A holder did not take the grant, which may have ended.
        var wasForbidden = false
        /// A holder could not be reached, or was lost on the way.
        var wasLost = false
        /// Set where it did not come to the head.
        var shortfall: String?

        /// Why the head is not here.
        var reasons: [String] { notes + (shortfall.map { [$0] } ?? []) }

        /// The same for a step, and what it has in the head's place.
        var stepNotes: [String] {
            let have = generation == 0 ? "it starts empty" : "generation \(generation) is used"
            return notes + (shortfall.map { ["\($0); \(have)"] } ?? [])
        }
    }

    /// Files whose rsync delta does not give what was announced are asked for once more, as wholes.
    static let roundLimit = 2
    /// A holder that publishes while we ask it is asked again this often.
    private static let attemptLimit = 3
    /// A holder that was killed is refused at once; one that only lost its connection takes the next one.
    private static let cutPause = Duration.milliseconds(100)

    /// Whether an error says that bytes were lost or damaged on the way, and not that they can't be had there.
    private static func isCut(_ error: any Error) -> Bool {
        switch error {
        case TransportError.connectionLost, TransportError.streamReset, TreeSyncError.badStream, TreeSyncError.digestMismatch,
            TreeSyncError.compression:
            true
        default: false
        }
    }

    /// Brings the volume to generation `head`, or as near as the holders allow. The caller keeps other changes of the volume away.
    ///
    /// Throws ``CancellationError``, and ``VolumeError/noRoom(_:needed:free:)`` before anything is sent that the disk has no room for. What
    /// can't be had for other reasons is told in the notes.
    func bring(_ key: VolumeKey, to head: Int, from holders: [Holder]) async throws -> Outcome {
        store.beginBringing(key)
        defer { store.endBringing(key) }
        var outcome = Outcome(generation: store.generation(of: key))
        if outcome.generation > head {
            // The history here is not the coordinator's: the volume was removed there meanwhile, or a publication never arrived.
            // What is here is still most of what will be brought; with nothing to bring it is nothing.
            try? await BlockingPool.shared.run { [store] in try head > 0 ? store.unnumber(key) : store.drop(key) }
            outcome.generation = 0
        }
        var pauses = BusyPauses(patience: peers.patience.busy)
        var waitsFor = try await ask(holders, key, to: head, isLast: false, &outcome)
        while !waitsFor.isEmpty {
            try await pauses.wait()
            waitsFor = try await ask(waitsFor, key, to: head, isLast: pauses.isOver, &outcome)
        }
        if outcome.generation == 0, store.base(of: key) != nil { try? await BlockingPool.shared.run { [store] in try store.drop(key) } }
        if outcome.generation < head {
            outcome.shortfall = "volume \(key.id): no agent that can be reached has generation \(head)"
        }
        return outcome
    }

    /// Asks one holder after the other, the newest first, until the head is here.
    ///
    /// - Parameter isLast: what is busy now could not give it.
    /// - Returns: those to be asked again: a busy one, and those behind it that have less.
    private func ask(
        _ holders: [Holder], _ key: VolumeKey, to head: Int, isLast: Bool, _ outcome: inout Outcome
    ) async throws -> [Holder] {
        var later: [Holder] = []
        for holder in holders {
            let wanted = holder.generation ?? head
            guard outcome.generation < head, wanted > outcome.generation else { continue }
            if later.contains(where: { ($0.generation ?? head) > wanted }) {
                later.append(holder)
                continue
            }
            do {
                try await bring(key, to: wanted, from: holder, &outcome.received)
            } catch let error as VolumeError where error.isNoRoom {
                // The others have the same.
                throw error
            } catch let error as VolumeError where error.isBusyPeer && !isLast {
                logger.debug("a holder is busy", metadata: ["volume": "\(key.id)", "agent": "\(holder.agent)"])
                later.append(holder)
            } catch {
                try Task.checkCancellation()
                logger.warning("volume not brought", metadata: ["volume": "\(key.id)", "agent": "\(holder.agent)", "error": "\(error)"])
                outcome.notes.append("volume \(key.id): agent \(holder.agent) could not give it: \(error)")
                await learn(from: error, of: holder, key, &outcome)
            }
            outcome.generation = store.generation(of: key)
        }
        return later.filter { outcome.generation < head && ($0.generation ?? head) > outcome.generation }
    }

    /// What a failure says beside that it has failed.
    private func learn(from error: any Error, of holder: Holder, _ key: VolumeKey, _ outcome: inout Outcome) async {
        switch error {
        case VolumeError.peerRefused(_, 403, _): outcome.wasForbidden = true
        case TransportError.connectFailed, TransportError.connectionLost, TransportError.streamReset: outcome.wasLost = true
        case TreeSyncError.digestMismatch, TreeSyncError.contentGone:
            // Seen as often as it was asked for, over connections that let nothing be changed: it is so on the holder's disk.
            do {
                try await coordinator.suspect(SuspectVolume(key: key, holder: holder.agent, reason: "\(error)"))
            } catch {
                logger.warning("a damaged copy was not told", metadata: ["volume": "\(key.id)", "error": "\(error)"])
            }
        default: break
        }
    }

    /// - Parameter received: grows by what came, also where it throws.
    private func bring(_ key: VolumeKey, to wanted: Int, from holder: Holder, _ received: inout Int64) async throws {
        for attempt in 1... {
            do {
                return try await bringOnce(key, to: wanted, from: holder, &received)
            } catch VolumeError.peerRefused(_, 409, _) where attempt < Self.attemptLimit {
                continue
            } catch  where attempt < Self.attemptLimit && Self.isCut(error) {
                // What arrived is kept, so that trying again costs the rest only.
                logger.notice(
                    "transfer broken off, trying again",
                    metadata: ["volume": "\(key.id)", "agent": "\(holder.agent)", "error": "\(error)"])
                try await Task.sleep(for: Self.cutPause)
            }
        }
    }

    private func bringOnce(_ key: VolumeKey, to wanted: Int, from holder: Holder, _ received: inout Int64) async throws {
        let store = store
        let snapshot = store.base(of: key)
        let known = snapshot?.generation ?? 0
        let kept = store.keptTransfers(of: key)
        let staging = store.stagingPath(of: key)
        // Until something has arrived only what is here already is in it.
        var isWorthKeeping = false
        var needed: UInt64 = 0
        do {
            let answer = try await changes(of: key, since: snapshot, wanted: wanted, from: holder, staging, &received)
            let (fetch, change) = try await BlockingPool.shared.run { () -> (DeltaFetch, Change) in
                try store.makeStaging(staging, of: key)
                return try Self.plan(
                    answer, upon: snapshot, known, staging, lists: store.blockLists(of: key), spares: store.spareFiles(of: key))
            }
            guard change.generation > known else {
                try? await BlockingPool.shared.run { try kept.discard(staging) }
                return
            }
            var round: DeltaFetch.Round
            (round, isWorthKeeping) = try await BlockingPool.shared.run { [logger] in
                try Self.check(try fetch.copiedBytes(), for: key, staging)
                if case .change(let what) = change.what { try kept.begin(staging, what.delta) }
                let arrived = try kept.contents()
                let indexed = store.indexedContents(of: key)
                let round = try fetch.prepare(from: arrived + [indexed], room: Self.room(staging))
                if indexed.taken.files > 0 {
                    logger.info(
                        "contents found here",
                        metadata: ["volume": "\(key.id)", "files": "\(indexed.taken.files)", "bytes": "\(indexed.taken.bytes)"])
                }
                let bytes = arrived.reduce(0) { $0 + $1.taken.bytes }
                if bytes > 0 { logger.info("transfer resumed", metadata: ["volume": "\(key.id)", "bytes": "\(bytes)"]) }
                return (round, bytes > 0)
            }
            for attempt in 0..<Self.roundLimit where !round.isEmpty {
                let asked = round
                let room: UInt64
                (needed, room) = try await BlockingPool.shared.run {
                    let needed = fetch.writtenBytes(asked)
                    return (needed, try Self.check(needed, for: key, staging))
                }
                isWorthKeeping = true
                // What comes slowly on purpose, or as differences, says nothing about the way.
                let plain = attempt == 0 && Pace.current == nil ? fetch.plainBytes(of: round) : 0
                let isMeasured = plain >= TransferMeter.leastBytes
                if isMeasured { peers.meter.begin(from: holder.agent) }
                var arrived: Int64 = 0
                defer { if isMeasured { peers.meter.end(from: holder.agent, bytes: arrived) } }
                let (again, bytes) = try await comingBack {
                    try await peers.fetch(asked, of: fetch, from: holder, key: key, generation: change.generation, room: room)
                }
                arrived = plain
                received += bytes
                round = again
            }
            guard round.isEmpty else { throw VolumeError.conflict("\(round.count) files did not arrive as announced") }
            try await BlockingPool.shared.run {
                try fetch.finish()
                switch change.what {
                case .change(let what):
                    try store.append(staging, change: what, to: change.generation, of: key, upon: known, totals: change.totals)
                case .recorded(let table):
                    try store.append(staging, record: kept.record(of: staging), table, to: change.generation, of: key)
                }
                kept.end(staging)
                // What is left of it is wanted no more.
                try? kept.removeAll()
                store.measureExtras(of: key)
            }
        } catch {
            try? await BlockingPool.shared.run { [isWorthKeeping] in
                defer { store.measureExtras(of: key) }
                if isWorthKeeping { try kept.keep(staging) } else { try kept.discard(staging) }
                try kept.makeRoom()
            }
            guard Self.isDiskFull(error) else { throw error }
            // Others write, too: what was free when it was asked for is not any more.
            throw VolumeError.noRoom(key, needed: Int64(clamping: needed), free: Int64(clamping: Self.room(store.directory)))
        }
    }

    private static func isDiskFull(_ error: any Error) -> Bool {
        switch error {
        case TreeSyncError.system(_, _, let code), VolumeError.system(_, _, let code): code == ENOSPC || code == EDQUOT
        default: false
        }
    }

    /// Asks a holder again that was not busy a moment ago: what has been prepared here is for it, so others are asked only after a part of
    /// the patience.
    private func comingBack<T: Sendable>(_ body: () async throws -> T) async throws -> T {
        var pauses = BusyPauses(patience: peers.patience.busy / Self.partsOfPatience)
        while true {
            do {
                return try await body()
            } catch let error as VolumeError where error.isBusyPeer && !pauses.isOver {
                try await pauses.wait()
            }
        }
    }

    private static let partsOfPatience = 8

    /// Bytes that there is room for; all where the file system does not say.
    static func room(_ directory: String) -> UInt64 {
        var disk = clinux_filesystem()
        return clinux_statfs(directory, &disk) == 0 ? disk.free_bytes : .max
    }

    /// Throws where so many bytes do not fit, before anybody sends them; returns what there is room for.
    @discardableResult static func check(_ needed: UInt64, for key: VolumeKey, _ directory: String) throws -> UInt64 {
        let room = room(directory)
        guard needed <= room else {
            throw VolumeError.noRoom(key, needed: Int64(clamping: needed), free: Int64(clamping: room))
        }
        return room
    }

    /// Asks what has changed; where the holder can't tell, compares, and where that fails, has everything told. Where nothing is here,
    /// what is told is the record of the transfer, beside its directory.
    private func changes(
        of key: VolumeKey, since snapshot: VolumeSnapshot?, wanted: Int, from holder: Holder, _ staging: String, _ received: inout Int64
    ) async throws -> FoundChanges {
        guard let snapshot else {
            let record = store.keptTransfers(of: key).record(of: staging)
            let (answer, bytes) = try await peers.changes(from: holder, key: key, known: 0, wanted: wanted) { [store] in
                try store.makeDirectory(of: key)
                return record
            }
            received += bytes
            return .told(answer)
        }
        let known = snapshot.generation
        let (answer, bytes) = try await peers.changes(from: holder, key: key, known: known, wanted: wanted, compares: true)
        received += bytes
        guard case .decoded(.compare(let generation)) = answer else { return .told(answer) }
        do {
            let tree = try await BlockingPool.shared.run { [store] in try store.tree(of: snapshot) }
            let outcome = try await comingBack { try await peers.compare(tree, with: holder, key: key, generation: generation) }
            received += outcome.received
            return .compared(generation: generation, local: tree.manifest, outcome)
        } catch let error as TreeSyncError {
            logger.warning(
                "comparison failed, everything is asked for",
                metadata: ["volume": "\(key.id)", "agent": "\(holder.agent)", "error": "\(error)"])
            let (answer, bytes) = try await peers.changes(from: holder, key: key, known: known, wanted: wanted)
            received += bytes
            return .told(answer)
        }
    }

    /// What is to be done, by what the holder said and what is here.
    private static func plan(
        _ found: FoundChanges, upon snapshot: VolumeSnapshot?, _ known: Int, _ staging: String, lists: BlockLists, spares: SpareFiles
    ) throws -> (DeltaFetch, Change) {
        let files = try snapshot?.files() ?? GenerationFiles(layers: [])
        func whole(
            _ generation: Int, _ manifest: VolumeManifest, _ delta: DeltaManifest, _ local: VolumeManifest
        ) throws -> (DeltaFetch, Change) {
            (
                try DeltaFetch(delta: delta, local: local, files: files, directory: staging, lists: lists),
                Change(generation: generation, what: .change(GenerationChange(delta)), totals: VolumeTotals(of: manifest))
            )
        }
        switch found {
        case .told(.decoded(.same)): return try whole(known, VolumeManifest(), DeltaManifest(), VolumeManifest())
        case .told(.decoded(.delta(let generation, let totals, let change))):
            let local: any GenerationLookup = try snapshot?.index() ?? VolumeManifest()
            let fetch = try DeltaFetch(change, local: local, files: files, directory: staging, lists: lists, spares: spares)
            return (fetch, Change(generation: generation, what: .change(change), totals: totals))
        case .told(.decoded(.whole(let generation, let manifest))):
            let local = try snapshot?.manifest() ?? VolumeManifest()
            let delta = local.entries.isEmpty ? DeltaManifest(whole: manifest) : local.delta(to: manifest)
            return try whole(generation, manifest, delta, local)
        case .told(.recorded(let generation, let table)):
            let totals = VolumeTotals(bytes: table.contentBytes, files: Int64(table.putCount))
            let fetch = try DeltaFetch(whole: table, directory: staging, lists: lists)
            return (fetch, Change(generation: generation, what: .recorded(table), totals: totals))
        case .compared(let generation, let local, let outcome):
            return try whole(generation, outcome.tree.manifest, outcome.delta, local)
        case .told(.decoded(.compare)): throw TreeSyncError.badStream("a comparison that nobody asked for")
        }
    }

    private enum FoundChanges: Sendable {
        case told(ChangesAnswer.Received)
        case compared(generation: Int, local: VolumeManifest, TreeComparison.Outcome)
    }

    /// What is to be done to get from what is here to what the holder has.
    private struct Change: Sendable {
        var generation: Int
        var what: What
        /// Of the new generation.
        var totals: VolumeTotals
    }

    private enum What: Sendable {
        case change(GenerationChange)
        /// All of it, where nothing is here; the record of the transfer says it.
        case recorded(ManifestTable)
    }
}
