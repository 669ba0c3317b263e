import BlockingIO
import FarmAPI
import Logging
import TreeSync

/// Volumes for the steps of this agent: brought up to date, mounted, published.
///
/// All steps that use a volume at the same time see one mount. What happens to one volume's mount and generations happens one after the
/// other, under a lock for each key; the actor itself never waits for a disk or a peer.
public actor VolumeService: VolumeLeasing {
    private struct Mounted {
        var mount: OverlayMount
        /// The generation below; nil for a volume that has none.
        var base: VolumeSnapshot?
        var users: Int
        /// Of the only step that may use it; nil where steps share it.
        var lock: String?
    }

    let store: VolumeStore
    private let coordinator: any CoordinatorVolumes
    let sync: VolumeSync
    private let publisher: VolumePublisher
    let logger: Logger
    private let retry: RetryPolicy
    private let ending: Interruption
    private var locks = KeyedLock<VolumeKey>()
    private var mounted: [VolumeKey: Mounted] = [:]
    /// How many steps have a copy of their own of a volume, which stands upon its layers.
    private var forks: [VolumeKey: Int] = [:]
    private var doomed: Set<VolumeKey> = []
    /// Mounts that are not to be published.
    private var spoiled: Set<VolumeKey> = []
    private var maintenance: [VolumeKey: Task<Void, Never>] = [:]
    /// Makes room for so many bytes, where it can; see ``onShortage(_:)``.
    private var makeRoom: @Sendable (Int64) async -> Void = { _ in }
    /// How many steps wait for a volume: until they have it nothing of it is copied slowly.
    var wanted: [VolumeKey: Int] = [:]
    /// Of what is being copied here in the background.
    var paces: [VolumeKey: [Pace]] = [:]
    /// What the last hello said.
    var introduced: [VolumeKey: Int] = [:]

    public init(store: VolumeStore, coordinator: any CoordinatorVolumes, peers: PeerClient, logger: Logger) {
        self.store = store
        self.coordinator = coordinator
        self.logger = logger
        sync = VolumeSync(store: store, peers: peers, coordinator: coordinator, logger: logger)
        let ending = Interruption()
        self.ending = ending
        retry = RetryPolicy(isOver: { ending.isSet })
        // What steps wrote waits for a coordinator as long as their reports do: it may be an upgrade, over which locks and leases last.
        let patient = RetryPolicy(patience: nil, isOver: { ending.isSet })
        publisher = VolumePublisher(sync: sync, coordinator: coordinator, retry: patient, logger: logger)
    }

    /// The agent ends: what waits for a coordinator that can't be reached is given up at its next attempt.
    public nonisolated func beginEnding() { ending.interrupt() }

    /// What is to be tried before a volume that does not fit is given up: gets the bytes that are to be written.
    public func onShortage(_ makeRoom: @escaping @Sendable (Int64) async -> Void) { self.makeRoom = makeRoom }

    // MARK: Acquiring

    public func acquire(_ requests: [VolumeRequest], assignment: String, lock: String) async throws -> VolumeLease {
        var seen: Set<VolumeKey> = []
        for request in requests where !seen.insert(request.key).inserted { throw VolumeError.requestedTwice(request.key) }
        let lasting = requests.filter { !$0.fresh }
        guard !lasting.isEmpty else { return try await mountAll(requests, granted: [:], lock: lock, Progress()) }
        for request in lasting { wanted[request.key, default: 0] += 1 }
        defer { for request in lasting { wanted[request.key] = wanted[request.key].flatMap { $0 > 1 ? $0 - 1 : nil } } }
        hurry(seen)
        let question = AcquireVolumes(
            assignment: assignment, lock: lock, needs: lasting.map { AcquireVolumes.Need(key: $0.key, sharing: $0.sharing) })
        var progress = Progress()
        // What can be brought is brought before the wait, so that nobody else waits for that.
        let now = try await retry.run { [coordinator] in try await coordinator.locate(question) }
        try await bring(lasting, now, for: question, &progress)
        do {
            let granted = try await RetryPolicy(patience: nil).run { [coordinator] in try await coordinator.acquire(question) }
            try check(granted, lasting)
            // Only what is still wrong now is worth telling.
            progress.notes = []
            try await waitForFormerUsers(lasting, granted)
            try await bring(lasting, granted, for: question, &progress)
            let states = Dictionary(uniqueKeysWithValues: zip(lasting.map(\.key), granted.volumes))
            return try await mountAll(requests, granted: states, lock: lock, progress)
        } catch {
            await unlock(lock)
            throw error
        }
    }

    private struct Progress {
        var received: Int64 = 0
        var notes: [String] = []
        /// A holder has been waited for in vain: not once more for this step.
        var hasGivenUp = false
    }

    /// While this agent was out of reach, locks of its steps may have been given to others. Such a step is being ended; who has got the lock
    /// here must not see its mount, which will be thrown away.
    private func waitForFormerUsers(_ requests: [VolumeRequest], _ granted: VolumesAcquired) async throws {
        for (request, volume) in zip(requests, granted.volumes) where !volume.fork {
            while let there = mounted[request.key], !Self.mayJoin(there, request) { try await Task.sleep(for: Self.formerUserPause) }
        }
    }

    private static let formerUserPause = Duration.milliseconds(20)

    private static func mayJoin(_ mounted: Mounted, _ request: VolumeRequest) -> Bool {
        mounted.lock == nil && request.sharing == .shared
    }

    private func check(_ answer: VolumesAcquired, _ requests: [VolumeRequest]) throws {
        guard answer.volumes.count == requests.count else {
            throw VolumeError.conflict("the coordinator answered for \(answer.volumes.count) volumes instead of \(requests.count)")
        }
    }

    private func bring(
        _ requests: [VolumeRequest], _ answer: VolumesAcquired, for step: AcquireVolumes, _ progress: inout Progress
    ) async throws {
        try check(answer, requests)
        let answered = ContinuousClock.now
        for (request, volume) in zip(requests, answer.volumes) {
            let told = Told(volume: volume, at: answered)
            guard let outcome = try await bring(request, told, for: step, &progress.hasGivenUp) else { continue }
            progress.received += outcome.received
            progress.notes += outcome.stepNotes
            if outcome.received > 0, outcome.generation > 0 { await announce(request.key) }
        }
    }

    /// What the coordinator said of a volume, and when.
    private struct Told {
        var volume: VolumesAcquired.Volume
        var at: ContinuousClock.Instant
    }

    /// A holder that is lost in the middle of what it gives for so many times is waited for no longer than one that gives nothing.
    private static let lossLimit = 5

    private func bring(
        _ request: VolumeRequest, _ told: Told, for step: AcquireVolumes, _ hasGivenUp: inout Bool
    ) async throws -> VolumeSync.Outcome? {
        var told = told
        var received: Int64 = 0
        var isRoomMade = false
        var pauses = BusyPauses(patience: hasGivenUp ? .zero : store.settings.startPatience)
        var losses = 0
        while true {
            do {
                guard var outcome = try await bringOnce(request, told, for: step) else { return nil }
                outcome.received += received
                guard outcome.generation < told.volume.head else { return outcome }
                if outcome.wasLost, outcome.received > received, losses < Self.lossLimit {
                    // It was there until just now.
                    losses += 1
                    pauses = BusyPauses(patience: store.settings.startPatience)
                }
                received = outcome.received
                if outcome.wasLost, !pauses.isOver {
                    // It may be starting again. Once the coordinator takes it for lost it is not named any more.
                    logger.notice("waiting for a holder", metadata: ["volume": "\(request.key.id)", "notes": "\(outcome.notes)"])
                    try await pauses.wait()
                } else if outcome.wasLost {
                    hasGivenUp = true
                    return outcome
                } else if !outcome.wasForbidden || ContinuousClock.now - told.at < store.settings.grantAge {
                    return outcome
                }
            } catch VolumeError.noRoom(_, let needed, _) where !isRoomMade {
                isRoomMade = true
                // Not under the volume's lock: room is made by removing others.
                await makeRoom(needed)
                continue
            }
            told = try await locate(request, for: step)
        }
    }

    private func locate(_ request: VolumeRequest, for step: AcquireVolumes) async throws -> Told {
        var question = step
        question.needs.removeAll { $0.key != request.key }
        let answer = try await retry.run { [coordinator, question] in try await coordinator.locate(question) }
        try check(answer, [request])
        return Told(volume: answer.volumes[0], at: .now)
    }

    private func bringOnce(_ request: VolumeRequest, _ told: Told, for step: AcquireVolumes) async throws -> VolumeSync.Outcome? {
        try await lockedUnlessCancelled(request.key) {
            // What is in use here keeps its generation; what it writes is put upon the newest when it is published.
            guard mounted[request.key] == nil else { return nil }
            var volume = told.volume
            // Another step may have published here since the coordinator said this. Under the volume's lock none does.
            if store.generation(of: request.key) > volume.head { volume = try await locate(request, for: step).volume }
            let here = store.generation(of: request.key)
            guard here != volume.head else { return nil }
            // What is here is of another history, and may go.
            if here > volume.head { await settle(request.key) }
            return try await sync.bring(request.key, to: volume.head, from: volume.holders)
        }
    }

    /// Tells the coordinator what is here of a volume, where it was mistaken.
    public func announce(_ key: VolumeKey) async {
        // The coordinator may have numbered what is not in place yet: it would take that for lost.
        if store.announcements.tellAtEnd(key) { return }
        do {
            try await tell(key) { [coordinator] in
                try await coordinator.changeHoldings(HoldingsChange(of: key, generation: $0))
            }
        } catch {
            // The hello of the next session tells it.
            logger.warning("holdings not told", metadata: ["volume": "\(key.id)", "error": "\(error)"])
        }
    }

    private func mountAll(
        _ requests: [VolumeRequest], granted: [VolumeKey: VolumesAcquired.Volume], lock: String, _ progress: Progress
    ) async throws -> VolumeLease {
        var uses: [VolumeUse] = []
        var paths: [String] = []
        var notes = progress.notes
        do {
            for request in requests {
                try Task.checkCancellation()
                let (use, path, more) = try await use(request, granted[request.key], lock)
                uses.append(use)
                paths.append(path)
                notes += more
            }
        } catch {
            // Published all the same: another step may have written to the same mount.
            for use in uses { await leaveQuietly(use) }
            throw error
        }
        return VolumeLease(
            lock: lock, paths: paths, bytesReceived: progress.received, notes: notes, uses: uses, isLocked: !granted.isEmpty)
    }

    /// A use, its directory, and notes for the step.
    private func use(
        _ request: VolumeRequest, _ granted: VolumesAcquired.Volume?, _ lock: String
    ) async throws -> (VolumeUse, String, [String]) {
        guard let granted else {
            let (mount, notes) = try await scratch(request, upon: nil)
            return (.fresh(mount), mount.merged, notes)
        }
        return try await lockedUnlessCancelled(request.key) { try await useLocked(request, fork: granted.fork, lock) }
    }

    private func useLocked(_ request: VolumeRequest, fork: Bool, _ lock: String) async throws -> (VolumeUse, String, [String]) {
        if fork {
            let base = store.snapshot(of: request.key)
            let (mount, notes) = try await scratch(request, upon: base)
            forks[request.key, default: 0] += 1
            return (.fork(request.key, mount, base), mount.merged, notes)
        }
        if let there = mounted[request.key] {
            guard Self.mayJoin(there, request) else {
                throw VolumeError.conflict("volume \(request.key.id) is in use here by a step that has lost its lock")
            }
            mounted[request.key]?.users += 1
            return (.shared(request.key), there.mount.merged, [])
        }
        let base = store.snapshot(of: request.key)
        let (mount, notes) = try await mount(request, upon: base) { try $0.makeStaging(of: request.key) }
        mounted[request.key] = Mounted(mount: mount, base: base, users: 1, lock: request.sharing == .shared ? nil : lock)
        return (.shared(request.key), mount.merged, notes)
    }

    private func scratch(_ request: VolumeRequest, upon base: VolumeSnapshot?) async throws -> (OverlayMount, [String]) {
        try await mount(request, upon: base) { try $0.makeScratch() }
    }

    private func mount(
        _ request: VolumeRequest, upon base: VolumeSnapshot?, in place: @escaping @Sendable (VolumeStore) throws -> String
    ) async throws -> (OverlayMount, [String]) {
        let seed = base == nil ? try await request.seed?() : nil
        return try await BlockingPool.shared.run { [store] in
            let asked = TreeEntry(
                path: [], mode: request.mode, uid: request.uid, gid: request.gid, modified: 0, content: .directory)
            let root = try base?.index().entry([]) ?? asked
            let staging = try place(store)
            do {
                let mount = try OverlayMount(preparing: staging, root: root)
                var notes: [String] = []
                if let seed {
                    notes = VolumePublisher.note(leftOut: try TreeCopy.copy(contentsOf: seed, into: mount.upper), of: request.key)
                    try mount.setRoot(root)
                }
                try mount.mount(layers: base?.layers ?? [store.emptyLayer])
                return (mount, notes)
            } catch {
                try? RemoveTree.remove(staging)
                throw error
            }
        }
    }

    // MARK: Releasing

    @discardableResult public func release(_ lease: VolumeLease) async throws -> [String] {
        // A task of its own, so that cancelling the step does not lose what it wrote nor keep its locks.
        try await Task { try await releaseAll(lease) }.value
    }

    @discardableResult public func discard(_ lease: VolumeLease) async throws -> [String] {
        for use in lease.uses { if case .shared(let key) = use { spoiled.insert(key) } }
        return try await release(lease)
    }

    private func releaseAll(_ lease: VolumeLease) async throws -> [String] {
        var notes: [String] = []
        var isSaved = true
        for use in lease.uses {
            do {
                notes += try await leave(use)
            } catch {
                isSaved = false
                notes.append(Self.note(error, of: use))
            }
        }
        if lease.isLocked { await unlock(lease.lock) }
        guard isSaved else { throw NotSaved(notes: notes) }
        return notes
    }

    private static func note(_ error: any Error, of use: VolumeUse) -> String {
        switch use {
        case .shared(let key): "volume \(key.id): what this step wrote is not saved: \(error)"
        case .fork, .fresh: "a volume that is thrown away could not be removed: \(error)"
        }
    }

    private func unlock(_ lock: String) async {
        let coordinator = coordinator
        let retry = retry
        do {
            try await Task { try await retry.run { try await coordinator.release(ReleaseVolumes(lock: lock)) } }.value
        } catch {
            // The lease of the assignment frees it.
            logger.warning("volume locks not released", metadata: ["lock": "\(lock)", "error": "\(error)"])
        }
    }

    private func leave(_ use: VolumeUse) async throws -> [String] {
        switch use {
        case .fresh(let mount):
            try await remove(mount)
            return []
        case .fork(let key, let mount, _):
            return try await locked(key) {
                let removed: Result<Void, any Error>
                do { removed = .success(try await remove(mount)) } catch { removed = .failure(error) }
                forks[key] = forks[key].flatMap { $0 > 1 ? $0 - 1 : nil }
                try await removeIfDoomed(key)
                try removed.get()
                return []
            }
        case .shared(let key):
            return try await locked(key) { try await leaveShared(key) }
        }
    }

    private func remove(_ mount: OverlayMount) async throws {
        try await BlockingPool.shared.run {
            mount.detach()
            try RemoveTree.remove(mount.directory)
        }
    }

    private func leaveQuietly(_ use: VolumeUse) async {
        do {
            for note in try await leave(use) { logger.warning("volume left", metadata: ["note": "\(note)"]) }
        } catch {
            logger.warning("volume not left in order", metadata: ["error": "\(error)"])
        }
    }

    private func leaveShared(_ key: VolumeKey) async throws -> [String] {
        guard var use = mounted[key] else { return [] }
        use.users -= 1
        guard use.users == 0 else {
            mounted[key] = use
            return []
        }
        mounted[key] = nil
        let isSpoiled = spoiled.remove(key) != nil
        let saved: Result<[String], any Error>
        do {
            saved = .success(try await save(use, of: key, isSpoiled: isSpoiled || doomed.contains(key)))
        } catch {
            saved = .failure(error)
        }
        if try await !removeIfDoomed(key) { maintain(key) }
        return try saved.get()
    }

    /// - Returns: whether the volume is gone, or goes with its last user.
    @discardableResult private func removeIfDoomed(_ key: VolumeKey) async throws -> Bool {
        guard doomed.contains(key) else { return false }
        if !isMounted(key) {
            doomed.remove(key)
            try await remove(key)
        }
        return true
    }

    /// Publishes what is in a mount that nobody uses any more, or throws it away.
    private func save(_ use: Mounted, of key: VolumeKey, isSpoiled: Bool) async throws -> [String] {
        if isSpoiled {
            try await remove(use.mount)
            return []
        }
        let result = try await publisher.publish(use.mount, of: key, upon: use.base, lock: use.lock, makeRoom: makeRoom)
        if case .gone = result.outcome { doomed.insert(key) }
        return result.notes
    }

    // MARK: Care

    /// Merging and writing through, while nobody waits for it.
    func maintain(_ key: VolumeKey) {
        let store = store
        let logger = logger
        let earlier = maintenance[key]
        maintenance[key] = Task {
            await earlier?.value
            do {
                try await BlockingPool.shared.run { try store.maintain(key) }
            } catch {
                logger.warning("volume not maintained", metadata: ["volume": "\(key.id)", "error": "\(error)"])
            }
        }
    }

    /// Removes the volume from this disk; one that is in use goes when its last user leaves.
    ///
    /// - Parameter generation: what is newer stays: it came after whoever asks for this. nil for any.
    public func drop(_ key: VolumeKey, upTo generation: Int? = nil) async {
        await locked(key) {
            let here = store.generation(of: key)
            if let generation, here > generation { return }
            guard !isMounted(key) else {
                // A mount without a base has nothing of what was removed.
                if here > 0 || generation == nil { doomed.insert(key) }
                return
            }
            do {
                try await remove(key)
            } catch {
                logger.warning("volume not removed", metadata: ["volume": "\(key.id)", "error": "\(error)"])
            }
        }
    }

    private func remove(_ key: VolumeKey) async throws {
        await settle(key)
        try await BlockingPool.shared.run { [store] in try store.drop(key) }
        var change = HoldingsChange()
        change.removedVolumes = [key]
        try? await coordinator.changeHoldings(change)
    }

    /// Waits until nothing of a volume is being merged or written through: what is to be removed must not be written to. The caller has its
    /// lock, so that nothing begins meanwhile.
    func settle(_ key: VolumeKey) async { await maintenance[key]?.value }

    /// Waits until nothing is being merged or written through. For an orderly end, and for tests.
    public func settle() async {
        for task in maintenance.values { await task.value }
    }

    /// Whether steps have it, or a copy of their own that stands upon its layers.
    func isMounted(_ key: VolumeKey) -> Bool { mounted[key] != nil || forks[key] != nil }

    func locked<T: Sendable>(_ key: VolumeKey, _ body: () async throws -> T) async rethrows -> T {
        if !locks.tryLock(key) {
            let number = locks.newNumber()
            _ = await withCheckedContinuation { locks.enqueue(key, number, $0) }
        }
        defer { locks.unlock(key) }
        return try await body()
    }

    /// Nil where somebody has the lock.
    func lockedIfFree<T: Sendable>(_ key: VolumeKey, _ body: () async throws -> T) async rethrows -> T? {
        guard locks.tryLock(key) else { return nil }
        defer { locks.unlock(key) }
        return try await body()
    }

    /// As ``locked(_:_:)`` for who would use the volume: throws `CancellationError` when the task is cancelled while it waits. Another step's transfer
    /// may take long.
    private func lockedUnlessCancelled<T: Sendable>(_ key: VolumeKey, _ body: () async throws -> T) async throws -> T {
        if !locks.tryLock(key) {
            let number = locks.newNumber()
            let isTaken = await withTaskCancellationHandler {
                await withCheckedContinuation { continuation in
                    if Task.isCancelled { continuation.resume(returning: false) } else { locks.enqueue(key, number, continuation) }
                }
            } onCancel: {
                Task { await self.giveUp(key, number) }
            }
            guard isTaken else { throw CancellationError() }
        }
        defer { locks.unlock(key) }
        return try await body()
    }

    /// Whether somebody waits until what happens to a volume here is over. For tests.
    func isAnybodyWaiting(for key: VolumeKey) -> Bool { locks.waiting(for: key) > 0 }

    private func giveUp(_ key: VolumeKey, _ number: Int) { locks.giveUp(key, number) }
}
