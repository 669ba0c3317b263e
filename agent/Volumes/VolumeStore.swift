import BlockingIO
import Digests
import FarmAPI
import Glibc
import Logging
import Synchronization
import TreeSync

/// The volumes on this agent's disk: for each the newest generation that it has, as a stack of immutable directories.
///
/// A volume is a directory: the file `state`, written anew and renamed at each change, names the directories of the stack; whatever it
/// does not name is the rest of a crash and removed when the store is opened. What was published by a kernel that has gone
/// without writing it through to the disk is dropped then, so that a power loss costs the newest generations and never gives a wrong one.
public final class VolumeStore: Sendable {
    /// More layers than this and the upper ones are merged: each costs the kernel a look at every open.
    static let layerLimit = 8
    /// As many deltas are handed to agents that are behind; who is further behind compares everything.
    static let journalLimit = 64

    struct Volume {
        var state: VolumeState
        /// Directories that the stack no longer has.
        var trash: [String] = []
    }

    private struct Contents {
        var volumes: [VolumeKey: Volume] = [:]
        var pins: [String: Int] = [:]
        /// Directories of volumes that were dropped while somebody read them; they go with their last pin.
        var orphans: Set<String> = []
        /// The last number that a volume's layers had when it was dropped: what is still read must not be given a second time.
        var counters: [VolumeKey: Int] = [:]
        /// By the layer's directory, for as long as it is there.
        var tables: [String: ManifestTable] = [:]
    }

    let directory: String
    let settings: VolumeSettings
    /// By the volume's directory, which may have no generation yet; one without any is not named.
    let extras = Mutex<[String: VolumeExtras]>([:])
    /// How many transfers are under way, by the volume's directory.
    let bringing = Mutex<[String: Int]>([:])
    /// What is being published just now.
    let announcements = Announcements()
    private let logger: Logger
    private let digests: DigestKeeper
    private let index: ContentIndex
    private let boot = VolumeFiles.bootID()
    private let contents = Mutex(Contents())
    /// Held by whoever changes a state and writes it: blocks threads of the pool only, never one that merely asks.
    private let changing = Mutex(())

    /// Opens the store, which may not exist, and removes what a crash left half done. Blocks.
    ///
    /// - Parameter logger: told of what can't be put in order.
    public init(
        directory: String, settings: VolumeSettings = VolumeSettings(), logger: Logger = Logger(label: "volumes")
    ) throws {
        self.directory = directory
        self.settings = settings
        self.logger = logger
        index = ContentIndex(limit: settings.indexedFiles)
        digests = DigestKeeper(limit: settings.comparedNames)
        try VolumeFiles.makeDirectory(directory)
        try VolumeFiles.makeDirectory("\(directory)/\(Self.emptyName)", mode: 0o755)
        var unwritten: [VolumeState] = []
        for name in try VolumeFiles.names(in: directory) where name != Self.emptyName {
            if let (state, isWritten) = openVolume(name) {
                contents.withLock { $0.volumes[state.key] = Volume(state: state) }
                for layer in state.layers { index.load("\(directory)/\(name)/\(layer.name)", of: state.key.project) }
                if !isWritten { unwritten.append(state) }
            } else {
                tidy("\(directory)/\(name)") { try removeAllButKept("\(directory)/\(name)") }
            }
            measureExtras(in: "\(directory)/\(name)")
        }
        // Only now: leftovers may be what fills the disk. The state that is there comes to the same until the next change writes it.
        for state in unwritten { tidy(self.directory(of: state.key)) { try write(state) } }
    }

    /// What can't be put in order in one volume keeps neither it nor the agent from being of use.
    private func tidy(_ path: String, _ body: () throws -> Void) {
        do { try body() } catch {
            logger.warning("a volume could not be put in order", metadata: ["path": "\(path)", "error": "\(error)"])
        }
    }

    /// What is no volume yet may have the beginning of one.
    private func removeAllButKept(_ path: String) throws {
        let kept = (try? KeptTransfers(directory: path).open(now: time(nil))) ?? []
        guard !kept.isEmpty else { return try Self.unmountAndRemove(path) }
        try removeAll(in: path, but: kept)
    }

    /// One that can't be removed stays, and the others go.
    private func removeAll(in path: String, but known: Set<String>) throws {
        for leftover in try VolumeFiles.names(in: path) where !known.contains(leftover) {
            tidy("\(path)/\(leftover)") { try Self.unmountAndRemove("\(path)/\(leftover)") }
        }
    }

    private static let emptyName = "empty"
    /// Removed at each start, as what is no volume.
    private static let scratchName = "scratch"
    private static let stateName = "state"
    /// The state as it was when it was last known to be on the disk, for when a power loss has damaged the newer one.
    private static let durableStateName = "state.durable"
    static let listsName = "blocks"
    static let sparesName = "spares"
    /// A list younger than this may be of a generation that is being made.
    private static let listGrace = 600
    private static let stateLimit = 4 << 20

    /// The lower directory of a volume that has no generation.
    var emptyLayer: String { "\(directory)/\(Self.emptyName)" }

    func directory(of key: VolumeKey) -> String { "\(directory)/\(Self.name(of: key))" }

    private static func name(of key: VolumeKey) -> String { String(Digest.of(Grant.object(of: key)).hex.prefix(32)) }

    // MARK: Opening

    /// Nil for what is no usable volume; else its state, and whether that is what the disk has.
    private func openVolume(_ name: String) -> (state: VolumeState, isWritten: Bool)? {
        let path = "\(directory)/\(name)"
        // Only where there is a state: a volume that was dropped is gone.
        guard VolumeFiles.exists("\(path)/\(Self.stateName)") else { return nil }
        let newest = readState(Self.stateName, of: name)
        guard var state = newest ?? readState(Self.durableStateName, of: name) else { return nil }
        let before = state
        if state.boot != boot || boot.isEmpty {
            state.layers = Array(state.layers.prefix { $0.isDurable })
            state.boot = boot
        }
        state.layers = Array(
            state.layers.prefix { VolumeFiles.exists("\(path)/\($0.name)") && VolumeFiles.exists("\(path)/\($0.name).manifest") })
        if state.layers != before.layers { measureReadable(&state, path) }
        // Without a number it was the base of a transfer that did not end.
        guard state.generation > 0 else {
            forgetState(path)
            return nil
        }
        state.journal.removeAll { !VolumeFiles.exists("\(path)/\($0.file)") }
        tidy(path) { try removeLeftovers(path, state, before) }
        return (state, state == newest)
    }

    private func removeLeftovers(_ path: String, _ state: VolumeState, _ before: VolumeState) throws {
        var known = Set(state.journal.map(\.file))
        known.formUnion([Self.stateName, Self.durableStateName, Self.listsName])
        // Of this kernel's life only: a number may be given a second time after a power loss.
        if before.boot == state.boot { known.formUnion([DigestKeeper.fileName, Self.sparesName]) }
        known.formUnion(try KeptTransfers(directory: path).open(now: time(nil)))
        for layer in state.layers {
            known.formUnion([layer.name, "\(layer.name).manifest", layer.name + ContentIndex.suffix])
        }
        try removeAll(in: path, but: known)
    }

    /// Nil for what is no state of this version and of this volume.
    private func readState(_ file: String, of name: String) -> VolumeState? {
        guard let bytes = try? VolumeFiles.read("\(directory)/\(name)/\(file)", upTo: Self.stateLimit),
            let state = try? FarmJSON.decode(VolumeState.self, from: bytes), state.version == VolumeState.currentVersion,
            Self.name(of: state.key) == name
        else { return nil }
        return state
    }

    /// Removes what says that there is a volume.
    private func forgetState(_ path: String) { for name in [Self.durableStateName, Self.stateName] { unlink("\(path)/\(name)") } }

    /// Counts what is left of a volume that has lost layers; those from a manifest on that can't be read are lost, too.
    private func measureReadable(_ state: inout VolumeState, _ path: String) {
        while state.generation > 0 {
            let generation = state.generation
            state.journal.removeAll { $0.to > generation }
            if (try? measure(&state, path)) != nil { return }
            let damaged = state.layers.firstIndex { (try? delta("\(path)/\($0.name).manifest")) == nil }
            state.layers.removeSubrange((damaged ?? 0)...)
        }
    }

    func measure(_ state: inout VolumeState, _ path: String) throws {
        let tables = try state.layers.map { try table("\(path)/\($0.name)", of: state.key) }
        state.large = []
        let totals = try VolumeTotals(reading: try GenerationCursor(tables)) { state.noteLargeFile($0) }
        state.bytes = totals.bytes
        state.files = totals.files
    }

    /// A mount of an earlier life of the agent may still be there.
    static func unmountAndRemove(_ path: String) throws {
        for name in (try? VolumeFiles.names(in: path)) ?? [] where name == OverlayMount.mergedName {
            umount2("\(path)/\(name)", Int32(MNT_DETACH))
        }
        for name in (try? VolumeFiles.names(in: path)) ?? [] where name.hasPrefix(Self.stagingPrefix) {
            umount2("\(path)/\(name)/\(OverlayMount.mergedName)", Int32(MNT_DETACH))
        }
        try RemoveTree.remove(path)
    }

    // MARK: Asking

    /// All generations here, for ``AgentHello``.
    public func held() -> [HeldVolume] {
        contents.withLock { contents in
            contents.volumes.values.filter { $0.state.generation > 0 }
                .map { HeldVolume(key: $0.state.key, generation: $0.state.generation) }
        }
    }

    /// The newest generation here; 0 for none.
    public func generation(of key: VolumeKey) -> Int { contents.withLock { $0.volumes[key]?.state.generation ?? 0 } }

    /// Bytes and names of the newest generation here.
    public func size(of key: VolumeKey) -> (bytes: Int64, files: Int64) {
        contents.withLock { contents in contents.volumes[key].map { ($0.state.bytes, $0.state.files) } ?? (0, 0) }
    }

    /// Bytes of older versions below the newest generations of all volumes.
    func hiddenBytes() -> Int64 {
        contents.withLock { contents in contents.volumes.values.reduce(Int64(0)) { $0 &+ max(0, $1.state.hiddenBytes) } }
    }

    /// How many directories the stack has.
    func layerCount(of key: VolumeKey) -> Int { contents.withLock { $0.volumes[key]?.state.layers.count ?? 0 } }

    /// The names of the stack's directories, the lowest first.
    func layerNames(of key: VolumeKey) -> [String] { contents.withLock { $0.volumes[key]?.state.layers.map(\.name) ?? [] } }

    /// Forgets what is kept by the volume's generations, because their numbers are given again, and that transfers find contents in
    /// these layers, because those are not what they should be.
    func forgetContents(of key: VolumeKey, in layers: [String]) {
        for layer in layers { index.remove("\(directory(of: key))/\(layer)", of: key.project) }
        digests.forget(key)
        unlink("\(directory(of: key))/\(DigestKeeper.fileName)")
    }

    /// The newest generation here, pinned; nil for none.
    func snapshot(of key: VolumeKey) -> VolumeSnapshot? {
        base(of: key).flatMap { $0.generation > 0 ? $0 : nil }
    }

    /// The newest generation here or, after ``unnumber(_:)``, the tree that is left, which counts as generation 0; pinned.
    func base(of key: VolumeKey) -> VolumeSnapshot? {
        contents.withLock { contents in
            guard let state = contents.volumes[key]?.state, !state.layers.isEmpty else { return nil }
            let names = state.layers.map(\.name)
            let directory = directory(of: key)
            for name in names { contents.pins["\(directory)/\(name)", default: 0] += 1 }
            return VolumeSnapshot(
                store: self, key: key, generation: state.generation, directory: directory, names: names,
                totals: VolumeTotals(bytes: state.bytes, files: state.files), sparseBytes: state.sparseBytes)
        }
    }

    func unpin(_ names: [String], of key: VolumeKey) {
        let free = contents.withLock { contents in
            var free: [String] = []
            for name in names {
                let path = "\(directory(of: key))/\(name)"
                let count = contents.pins[path, default: 0] - 1
                contents.pins[path] = count > 0 ? count : nil
                guard count <= 0, contents.orphans.remove(path) != nil else { continue }
                contents.tables[path] = nil
                free.append(path)
            }
            return free
        }
        // Whoever read last need not wait for this, and may be no thread that may block. What a crash leaves is removed at the next start.
        if !free.isEmpty { Task { try? await BlockingPool.shared.run { try Self.removeLayers(free) } } }
    }

    private static func removeLayers(_ paths: [String]) throws {
        for path in paths {
            try RemoveTree.remove(path)
            unlink("\(path).manifest")
            // The volume's, if nothing else is in it.
            rmdir(String(path.prefix(upTo: path.lastIndex(of: "/") ?? path.endIndex)))
        }
    }

    /// The manifests of a snapshot's layers. Blocks while one is read for the first time.
    func tables(of snapshot: VolumeSnapshot) throws -> [ManifestTable] { try snapshot.layers.map { try table($0, of: snapshot.key) } }

    private func table(_ layer: String, of key: VolumeKey) throws -> ManifestTable {
        if let known = contents.withLock({ $0.tables[layer] }) { return known }
        let table = try ManifestTable(file: layer + ".manifest")
        contents.withLock { contents in
            // A volume that was dropped meanwhile may be made anew, with layers of the same names.
            if contents.volumes[key] != nil { contents.tables[layer] = table }
        }
        return table
    }

    /// The digests of the blocks of a volume's large files.
    func blockLists(of key: VolumeKey) -> BlockLists { BlockLists(directory: "\(directory(of: key))/\(Self.listsName)") }

    private func delta(_ path: String) throws -> DeltaManifest {
        try DeltaManifest(decoding: try VolumeFiles.read(path, upTo: VolumeManifest.encodedLimit))
    }

    /// A generation with the digests of its directories. Blocks.
    func tree(of snapshot: VolumeSnapshot) throws -> ComparedTree {
        try digests.tree(of: snapshot, directory: directory(of: snapshot.key))
    }

    /// The answer to a peer that has generation `known` (0 for none); nil where this agent has nothing newer. The snapshot is the
    /// generation that the answer leads to. Blocks.
    ///
    /// - Parameter compares: the peer has a tree to compare where the journal does not lead from it to this one.
    func changes(of key: VolumeKey, since known: Int, compares: Bool = false) throws -> (ChangesReply, VolumeSnapshot)? {
        guard let snapshot = snapshot(of: key) else { return nil }
        if known == snapshot.generation { return (.told(.same), snapshot) }
        guard known < snapshot.generation else { return nil }
        if let change = change(since: known, to: snapshot) {
            return (.told(.delta(generation: snapshot.generation, snapshot.totals, change)), snapshot)
        }
        if compares { return (.told(.compare(generation: snapshot.generation)), snapshot) }
        return (.whole(generation: snapshot.generation, try snapshot.tables()), snapshot)
    }

    /// What has changed since a generation; nil where the journal does not lead from it to this one. Blocks.
    private func change(since known: Int, to snapshot: VolumeSnapshot) -> GenerationChange? {
        let journal = contents.withLock { $0.volumes[snapshot.key]?.state.journal(since: known) }
        guard known > 0, let journal, journal.last?.to == snapshot.generation else { return nil }
        return change(snapshot.key, by: journal)
    }

    /// The entries of a journal as one; nil where one of them can't be read, or has just been forgotten: that costs a comparison. The
    /// journal up to a damaged one is forgotten.
    private func change(_ key: VolumeKey, by journal: ArraySlice<VolumeState.JournalEntry>) -> GenerationChange? {
        var whole = ChangeFold()
        for entry in journal {
            guard let bytes = try? VolumeFiles.read("\(directory(of: key))/\(entry.file)", upTo: VolumeManifest.encodedLimit),
                let next = try? GenerationChange(decoding: bytes)
            else {
                try? change(key) { $0.state.journal.removeAll { $0.to <= entry.to } }
                return nil
            }
            whole.add(next)
        }
        return whole.finish()
    }

    // MARK: Changing

    static let stagingPrefix = "tmp-"

    /// A new empty directory on the volume's file system, for what is not yet published. The caller removes it or publishes it.
    func makeStaging(of key: VolumeKey) throws -> String {
        let staging = stagingPath(of: key)
        try makeStaging(staging, of: key)
        return staging
    }

    /// The same for what is thrown away in any case: beside the volumes, so that none of them takes it along when it goes.
    func makeScratch() throws -> String {
        let path = "\(directory)/\(Self.scratchName)"
        try VolumeFiles.makeDirectory(path)
        let scratch = "\(path)/\(Self.stagingPrefix)\(UInt64.random(in: .min ... .max))"
        guard mkdir(scratch, 0o700) == 0 else { throw VolumeError.last("making directory", scratch) }
        return scratch
    }

    /// Where such a directory can be: a path that nothing has, and that nothing else gets.
    func stagingPath(of key: VolumeKey) -> String {
        "\(directory(of: key))/\(Self.stagingPrefix)\(UInt64.random(in: .min ... .max))"
    }

    func makeStaging(_ staging: String, of key: VolumeKey) throws {
        while true {
            try makeDirectory(of: key)
            if mkdir(staging, 0o700) == 0 { return }
            // Empty for a moment, it may just have been removed.
            guard errno == ENOENT else { throw VolumeError.last("making directory", staging) }
        }
    }

    /// Makes the volume's directory, if it is not there.
    func makeDirectory(of key: VolumeKey) throws { try VolumeFiles.makeDirectory(directory(of: key)) }

    /// What arrived of transfers that did not end.
    func keptTransfers(of key: VolumeKey) -> KeptTransfers { KeptTransfers(directory: directory(of: key)) }

    /// A change that only has to get its number: its files are written, beside the directory that holds it.
    struct Prepared: Sendable {
        /// Holds exactly the delta.
        let staged: String
        fileprivate let what: What
        /// The generation here that it stands upon; 0 for none.
        let parent: Int
        /// Of the new generation.
        let totals: VolumeTotals
        /// nil where there is none, because it stands upon nothing or is too long.
        let journalBytes: Int64?

        fileprivate enum What {
            case change(DeltaManifest)
            /// All of a volume that is not here.
            case whole(ManifestTable)
        }

        fileprivate var manifest: String { staged + ".manifest" }
        fileprivate var journal: String { staged + ".journal" }
        fileprivate var reserve: String { staged + ".reserve" }
    }

    private static func newState(_ key: VolumeKey, _ boot: String, counter: Int?) -> VolumeState {
        var state = VolumeState(key: key, boot: boot)
        state.counter = counter ?? 0
        return state
    }

    /// Writes all the bytes of a generation but the new state, and keeps room for that: what may fail shall fail before others hear of it. To
    /// be appended or abandoned. Blocks.
    ///
    /// - Parameters:
    ///   - staged: holds exactly the delta.
    ///   - totals: of the new generation.
    func prepare(
        _ staged: String, change: GenerationChange, of key: VolumeKey, upon parent: Int, totals: VolumeTotals
    ) throws -> Prepared {
        let encoded = change.delta.encoded()
        var journal = parent > 0 ? change.encoded(manifest: encoded) : nil
        // Nobody would read it; without it others compare.
        if let length = journal?.count, length > settings.manifestBytes { journal = nil }
        let prepared = Prepared(
            staged: staged, what: .change(change.delta), parent: parent, totals: totals, journalBytes: journal.map { Int64($0.count) })
        do {
            try VolumeFiles.write(encoded, to: prepared.manifest)
            try checkSize(prepared, encoded.count, of: key)
            if let journal { try VolumeFiles.write(journal, to: prepared.journal) }
            try reserve(prepared, of: key)
            return prepared
        } catch {
            abandon(prepared)
            throw error
        }
    }

    /// Throws where nobody could read all of the new generation's names as one manifest, as an agent that has nothing gets them, and as merging
    /// writes them.
    private func checkSize(_ prepared: Prepared, _ own: Int, of key: VolumeKey) throws {
        guard own <= settings.manifestBytes else {
            throw VolumeError.manifestTooLarge(key, bytes: own, limit: settings.manifestBytes)
        }
        let below = prepared.parent > 0 ? snapshot(of: key) : nil
        let tables = try below?.tables() ?? []
        // As many bytes at the most; names that several layers have count once only when all are gone through.
        guard tables.reduce(own, { $0 + $1.byteCount }) > settings.manifestBytes else { return }
        let whole = ByteCount()
        try ManifestStream.write(manifestOf: tables + [ManifestTable(file: prepared.manifest)], to: whole)
        guard whole.bytes <= settings.manifestBytes else {
            throw VolumeError.manifestTooLarge(key, bytes: whole.bytes, limit: settings.manifestBytes)
        }
    }

    private func reserve(_ prepared: Prepared, of key: VolumeKey) throws {
        let state = try contents.withLock { $0.volumes[key]?.state }.map { try FarmJSON.encode($0).count } ?? 0
        try VolumeFiles.write([UInt8](repeating: 1, count: state + Self.stateGrowth), to: prepared.reserve)
    }

    /// So much larger may a state become by one generation: a layer, a line of the journal, some large files.
    private static let stateGrowth = 64 << 10

    /// Removes what ``prepare(_:change:of:upon:totals:)`` has written.
    func abandon(_ prepared: Prepared) { for file in [prepared.manifest, prepared.journal, prepared.reserve] { unlink(file) } }

    /// Publishes a directory on top of the stack: it is moved in with its files, and the state that names it is written. Where that fails
    /// everything is where it was.
    func append(_ prepared: Prepared, to generation: Int, of key: VolumeKey) throws {
        try changing.withLock { _ in
            let path = directory(of: key)
            var state = contents.withLock { $0.volumes[key]?.state ?? Self.newState(key, boot, counter: $0.counters[key]) }
            guard state.generation == prepared.parent, generation > prepared.parent else {
                throw VolumeError.conflict("volume \(key.id): generation \(prepared.parent) is no longer the newest here")
            }
            var name = ""
            repeat {
                state.counter += 1
                name = "g\(generation)-\(state.counter)"
                // What could not be removed after a crash would be in the way for ever.
            } while VolumeFiles.exists("\(path)/\(name)")
            let forgotten = prepared.note(in: &state, as: name, generation, journalLimit: Self.journalLimit, bytes: settings.journalBytes)
            unlink(prepared.reserve)
            try moveIn(prepared, as: "\(path)/\(name)") { try write(state) }
            let published = state
            contents.withLock { contents in
                contents.volumes[key, default: Volume(state: published)].state = published
                if case .whole(let table) = prepared.what { contents.tables["\(path)/\(name)"] = table }
            }
            for file in forgotten { unlink("\(path)/\(file)") }
        }
    }

    /// Renames a change's files, and back again where the body throws.
    private func moveIn(_ prepared: Prepared, as layer: String, _ body: () throws -> Void) throws {
        var moves = [(prepared.manifest, "\(layer).manifest"), (prepared.staged, layer)]
        if prepared.journalBytes != nil { moves.append((prepared.journal, "\(layer).journal")) }
        var done = 0
        do {
            for (from, to) in moves {
                try VolumeFiles.rename(from, to)
                done += 1
            }
            try body()
        } catch {
            for (from, to) in moves[..<done].reversed() { try? VolumeFiles.rename(to, from) }
            throw error
        }
    }

    /// Publishes a directory as all of a volume that is not here.
    ///
    /// - Parameters:
    ///   - staged: holds exactly what the record says; is gone afterwards, or as it was.
    ///   - record: its manifest, on the same file system; stays.
    ///   - table: the record's.
    func append(_ staged: String, record: String, _ table: ManifestTable, to generation: Int, of key: VolumeKey) throws {
        guard base(of: key) == nil else { throw VolumeError.conflict("volume \(key.id) is here meanwhile") }
        let totals = VolumeTotals(bytes: table.contentBytes, files: Int64(table.putCount))
        let prepared = Prepared(staged: staged, what: .whole(table), parent: 0, totals: totals, journalBytes: nil)
        do {
            try VolumeFiles.link(record, prepared.manifest)
            try reserve(prepared, of: key)
            try append(prepared, to: generation, of: key)
        } catch {
            abandon(prepared)
            throw error
        }
    }

    /// The same in one, for what has its number already. The staged directory is gone afterwards, or as it was.
    func append(
        _ staged: String, change: GenerationChange, to generation: Int, of key: VolumeKey, upon parent: Int, totals: VolumeTotals
    ) throws {
        let prepared = try prepare(staged, change: change, of: key, upon: parent, totals: totals)
        do {
            try append(prepared, to: generation, of: key)
        } catch {
            abandon(prepared)
            throw error
        }
    }

    /// Removes what is left of a layer that did not become one.
    private func discard(_ name: String, in path: String) {
        try? RemoveTree.remove("\(path)/\(name)")
        for suffix in ["manifest", "journal"] { unlink("\(path)/\(name).\(suffix)") }
    }

    private func write(_ state: VolumeState) throws {
        try VolumeFiles.write(try FarmJSON.encode(state), to: "\(directory(of: state.key))/\(Self.stateName)")
    }

    /// Changes the state of a volume that is there, on disk and in memory.
    func change(_ key: VolumeKey, _ body: (inout Volume) throws -> Void) throws {
        try changing.withLock { _ in
            guard var volume = contents.withLock({ $0.volumes[key] }) else { return }
            try body(&volume)
            try write(volume.state)
            let changed = volume
            contents.withLock { $0.volumes[key] = changed }
        }
    }

    /// Merges layers where there are too many, writes through to the disk, and removes what nobody needs. Blocks, for long; for the
    /// background. Other changes of the volume may go on, but no second one of this.
    func maintain(_ key: VolumeKey) throws {
        let merged = Result { if needsCompaction(key) { try compact(key) } }
        // Before what only saves time later: until it is done, a power loss costs the generation.
        try writeThrough(key)
        try removeTrash(key)
        try indexContents(key)
        try keepDigests(key)
        try prepareNext(key)
        // Layers that can't be merged are slower than one, and nothing worse.
        try merged.get()
    }

    /// Brings the newest generation to the disk, and a state that has nothing else. Blocks, for as long as the file system has data to write.
    func writeThrough(_ key: VolumeKey) throws {
        guard let volume = contents.withLock({ $0.volumes[key] }) else { return }
        let written = volume.state.layers.filter { !$0.isDurable }.map(\.name)
        guard !written.isEmpty || !volume.trash.isEmpty else { return }
        let path = directory(of: key)
        try VolumeFiles.sync(path)
        var durable: VolumeState?
        try change(key) { volume in
            for index in volume.state.layers.indices where written.contains(volume.state.layers[index].name) {
                volume.state.layers[index].isDurable = true
            }
            durable = volume.state
            durable?.layers = Array(volume.state.layers.prefix(while: \.isDurable))
        }
        guard let durable else { return }
        // The disk takes its time: not while the changes of all volumes wait.
        try VolumeFiles.write(try FarmJSON.encode(durable), to: "\(path)/\(Self.durableStateName)", through: true) { aside, target in
            try changing.withLock { _ in
                // What was dropped, or has lost its numbers, must not come back by this.
                let layers = contents.withLock { $0.volumes[key]?.state.layers } ?? []
                guard layers.starts(with: durable.layers) else {
                    throw VolumeError.conflict("volume \(key.id) has changed while it was written through")
                }
                try VolumeFiles.rename(aside, target)
            }
        }
    }

    /// Does what would otherwise take time when somebody waits: reads manifests of new layers, makes spares of large files.
    private func prepareNext(_ key: VolumeKey) throws {
        guard let snapshot = snapshot(of: key), let state = contents.withLock({ $0.volumes[key]?.state }),
            state.generation == snapshot.generation
        else { return }
        _ = try snapshot.index()
        let lists = blockLists(of: key)
        try spareFiles(of: key).update(to: state.wantedSpares, files: try snapshot.files(), lists: lists)
        try lists.keep(only: Set(state.large.map(\.digest)), olderThan: Self.listGrace)
        measureExtras(of: key)
    }

    private func needsCompaction(_ key: VolumeKey) -> Bool {
        guard let state = contents.withLock({ $0.volumes[key]?.state }), state.layers.count > 1 else { return false }
        return state.layers.count > Self.layerLimit || hidesTooMuch(state)
    }

    /// Whether older versions take more than they may.
    private func hidesTooMuch(_ state: VolumeState) -> Bool { state.hiddenBytes > max(state.bytes, settings.hiddenBytes) }

    private func indexContents(_ key: VolumeKey) throws {
        guard let snapshot = snapshot(of: key) else { return }
        for layer in snapshot.layers where !index.contains(layer, of: key.project) {
            let table = try table(layer, of: key)
            if index.hasRoom(for: table.putCount) { try index.make(layer, of: key.project, table) }
        }
    }

    /// What volumes of the project, this one among them, have here.
    func indexedContents(of key: VolumeKey) -> IndexedContents {
        index.contents(of: key.project) { [self] layer in
            // A layer that is not pinned may go meanwhile, and its table would stay.
            try contents.withLock { $0.tables[layer] } ?? ManifestTable(file: layer + ".manifest")
        }
    }

    private func keepDigests(_ key: VolumeKey) throws {
        guard let snapshot = snapshot(of: key) else { return }
        try digests.keep(snapshot, directory: directory(of: key)) { known in
            change(since: known, to: snapshot)?.delta
        }
    }

    /// Takes the number from what is here: its history is no longer the coordinator's, but it is still something to build upon. Until
    /// something is appended it is no generation to anybody but ``base(of:)``, and it is gone after a restart. Blocks.
    func unnumber(_ key: VolumeKey) throws {
        var files: [String] = []
        unlink("\(directory(of: key))/\(Self.durableStateName)")
        try change(key) { volume in
            for index in volume.state.layers.indices {
                volume.state.layers[index].from = 0
                volume.state.layers[index].to = 0
            }
            files = volume.state.journal.map(\.file)
            volume.state.journal = []
        }
        digests.forget(key)
        let path = directory(of: key)
        for file in files + [DigestKeeper.fileName] { unlink("\(path)/\(file)") }
    }

    /// Merges the deltas into one, or all into a new base when they have become large against it. By hard links.
    ///
    /// - Parameter mended: directories, with manifests beside them, with files that are to be taken instead of those in the layers. Where it
    ///   is given, all is merged.
    func compact(_ key: VolumeKey, mended: [String]? = nil) throws {
        guard let snapshot = snapshot(of: key), let state = contents.withLock({ $0.volumes[key]?.state }),
            state.generation == snapshot.generation
        else { return }
        let path = directory(of: key)
        let above = state.layers.dropFirst().reduce(0) { $0 + $1.entries }
        // With bytes to be freed all becomes one: what is hidden is mostly in the base.
        let first = mended != nil || above * 2 > state.layers[0].entries || hidesTooMuch(state) ? 0 : 1
        let merged = Array(state.layers[first...])
        let staging = try makeStaging(of: key)
        var name: String?
        do {
            try change(key) { volume in
                volume.state.counter += 1
                name = "g\(snapshot.generation)-\(volume.state.counter)"
            }
            guard let name else { throw VolumeError.conflict("volume \(key.id) was removed while its layers were merged") }
            let (entries, bytes) = try merge(
                merged, of: key, mended ?? [], upon: Array(state.layers[..<first]), into: staging, manifest: "\(path)/\(name).manifest")
            // What nobody could read must not take the place of what can be read.
            guard try ManifestTable(file: "\(path)/\(name).manifest").byteCount <= settings.manifestBytes else {
                throw VolumeError.conflict("volume \(key.id) has too many names for its layers to be merged")
            }
            try VolumeFiles.rename(staging, "\(path)/\(name)")
            // A power loss must not find a state that has this layer instead of those that were there, and no layer.
            try VolumeFiles.sync(path)
            try change(key) { volume in
                guard volume.state.layers.dropFirst(first).prefix(merged.count).elementsEqual(merged, by: { $0.name == $1.name }) else {
                    throw VolumeError.conflict("volume \(key.id) has changed while its layers were merged")
                }
                let layer = VolumeState.Layer(
                    name: name, from: merged[0].from, to: snapshot.generation, entries: entries, isDurable: true, bytes: bytes)
                volume.state.layers.replaceSubrange(first..<first + merged.count, with: [layer])
                volume.trash += merged.map(\.name)
            }
        } catch {
            try? RemoveTree.remove(staging)
            if let name { discard(name, in: path) }
            throw error
        }
    }

    /// Makes one directory and one manifest of several layers. Returns how many entries it has, and the bytes of its files.
    private func merge(
        _ layers: [VolumeState.Layer], of key: VolumeKey, _ mended: [String], upon base: [VolumeState.Layer], into staging: String,
        manifest: String
    ) throws -> (entries: Int, bytes: Int64) {
        let own = layers.map { "\(directory(of: key))/\($0.name)" }
        let paths = own + mended
        let tables = try own.map { try table($0, of: key) } + mended.map { try ManifestTable(file: $0 + ".manifest") }
        if base.isEmpty {
            let totals = try DeltaDirectory.merge(paths, tables, into: staging)
            let count = Int(totals.files)
            try VolumeFiles.write(to: manifest) { try ManifestStream.write(deltaOf: tables, count: count, to: $0) }
            return (count, totals.bytes)
        }
        var delta = DeltaManifest()
        for path in paths { delta = delta.followed(by: try self.delta("\(path).manifest")) }
        let below = GenerationIndex(try base.map { try table("\(directory(of: key))/\($0.name)", of: key) })
        try DeltaDirectory.merge(paths, tables, delta: delta, upon: below, into: staging)
        try VolumeFiles.write(delta.encoded(), to: manifest)
        return (delta.puts.count + delta.deletions.count, delta.contentBytes)
    }

    /// Removes layers that no generation has any more and nobody reads; the state that does not name them is on the disk, see
    /// ``writeThrough(_:)``.
    func removeTrash(_ key: VolumeKey) throws {
        let path = directory(of: key)
        let free = contents.withLock { contents in
            guard var volume = contents.volumes[key] else { return [String]() }
            let free = volume.trash.filter { contents.pins["\(path)/\($0)"] == nil }
            volume.trash.removeAll { free.contains($0) }
            contents.volumes[key] = volume
            for name in free { contents.tables["\(path)/\(name)"] = nil }
            return free
        }
        for name in free {
            index.remove("\(path)/\(name)", of: key.project)
            try RemoveTree.remove("\(path)/\(name)")
            unlink("\(path)/\(name).manifest")
        }
    }

    /// Forgets a volume and removes it from the disk. What somebody reads stays until nobody does; the caller sees to it that it is not
    /// mounted. Blocks.
    func drop(_ key: VolumeKey) throws {
        let path = directory(of: key)
        let pinned = changing.withLock { _ in
            let pinned = contents.withLock { contents in
                let pinned = Set(contents.pins.keys.filter { $0.hasPrefix(path + "/") })
                contents.orphans.formUnion(pinned)
                let counter = contents.volumes[key]?.state.counter ?? contents.counters[key]
                contents.counters[key] = pinned.isEmpty ? nil : counter
                contents.tables = contents.tables.filter { !$0.key.hasPrefix(path + "/") || pinned.contains($0.key) }
                contents.volumes[key] = nil
                digests.forget(key)
                return pinned
            }
            extras.withLock { $0[path] = nil }
            // The state first: without it, what a crash leaves is no volume.
            forgetState(path)
            return pinned
        }
        index.removeAll(in: path, of: key.project)
        guard !pinned.isEmpty else { return try RemoveTree.remove(path) }
        for name in try VolumeFiles.names(in: path) where !pinned.contains("\(path)/\(name)") {
            if name.hasSuffix(".manifest"), pinned.contains("\(path)/\(name.dropLast(".manifest".count))") { continue }
            try RemoveTree.remove("\(path)/\(name)")
        }
    }
}

extension VolumeStore.Prepared {
    /// Names the change in a state.
    /// - Returns: files of the journal that nobody needs any more.
    fileprivate func note(
        in state: inout VolumeState, as name: String, _ generation: Int, journalLimit: Int, bytes limit: Int64
    ) -> [String] {
        let (names, bytes) =
            switch what {
            case .change(let delta): (delta.puts.count + delta.deletions.count, delta.contentBytes)
            case .whole(let table): (table.putCount, table.contentBytes)
            }
        state.layers.append(VolumeState.Layer(name: name, from: parent, to: generation, entries: names, isDurable: false, bytes: bytes))
        if let journalBytes {
            state.journal.append(VolumeState.JournalEntry(from: parent, to: generation, file: "\(name).journal", bytes: journalBytes))
        }
        state.bytes = totals.bytes
        state.files = totals.files
        switch what {
        case .change(let delta): state.noteLargeFiles(of: delta)
        case .whole(let table): for entry in table.largeFiles { state.noteLargeFile(entry) }
        }
        return state.shortenJournal(to: journalLimit, bytes: limit)
    }
}

/// Counts what is written.
private final class ByteCount: ByteSink {
    private(set) var bytes = 0

    func write(_ bytes: UnsafeRawBufferPointer) { self.bytes += bytes.count }
}
