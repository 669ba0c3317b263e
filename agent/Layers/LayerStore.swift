import BlockingIO
import BuildPlan
import CLinux
import Digests
import FileTree
import Glibc
import OCI
import Synchronization

/// The layers on this agent's disk: immutable directories in overlayfs' upper form, by the digest of their archive.
///
/// In the store's directory each layer has a short name of its own, since overlayfs' options must fit into a page: `4f/` is the layer,
/// `4f.layer` its record, `4f.tar.zst` its archive where that is not canonical, `4f.contents` its index by content. `format` says that it is
/// a store; `tmp/` has what is being made and what is being deleted. All calls block; all may be made from several threads at once.
public final class LayerStore: Sendable {
    struct Entry {
        var name: String
        var record: LayerRecord
        /// Bytes on the disk, about.
        var bytes: Int64
        /// Nanoseconds since the epoch; on disk the record's modification time.
        var lastUse: Int64
        var pins = 0
    }

    struct State {
        var layers: [Digest: Entry] = [:]
        var nextName = 1
        var nextTemporary = 1
    }

    /// Where mounts find ``path(of:)``.
    public let directory: String
    let state = Mutex(State())
    let boot = LayerRecord.currentBoot()
    let contents = ContentIndex()

    /// Opens the store, creating its directory, and removes what a crash left half done.
    ///
    /// Layers that were made before the machine went down and were not known to be on the disk are read again and dropped if they are
    /// damaged. Throws ``LayerStoreError/notAStore(path:)`` for a directory with other things in it.
    public init(directory: String) throws {
        self.directory = directory
        try Self.makeDirectory(directory)
        try Self.claim(directory)
        try TreeRemoval.remove(directory + "/tmp")
        try Self.makeDirectory(directory + "/tmp")
        try load()
    }

    // MARK: What is there

    /// Whether the layer is here.
    public func contains(_ diffID: Digest) -> Bool { state.withLock { $0.layers[diffID] != nil } }

    /// All layers here, in no order.
    public func all() -> [LayerDescriptor] { state.withLock { $0.layers.values.map(\.record.layer) } }

    /// Bytes on the disk of all layers, about.
    public var totalBytes: Int64 { state.withLock { $0.layers.values.reduce(0) { $0 + $1.bytes } } }

    /// The layer's directory, relative to ``directory``. Pin the layer as long as the path is used.
    public func path(of diffID: Digest) throws -> String {
        try state.withLock { state in
            guard let entry = state.layers[diffID] else { throw LayerStoreError.missing(diffID) }
            return entry.name
        }
    }

    /// Keeps layers from being removed until ``unpin(_:)`` is called as often, and notes their use. All of them or, when one is missing, none.
    /// - Returns: their directories relative to ``directory``, in the order asked for.
    @discardableResult
    public func pin(_ diffIDs: [Digest]) throws -> [String] {
        let now = Self.now()
        let names = try state.withLock { state in
            for diffID in diffIDs where state.layers[diffID] == nil { throw LayerStoreError.missing(diffID) }
            return diffIDs.compactMap { diffID in
                state.layers[diffID]?.pins += 1
                state.layers[diffID]?.lastUse = now
                return state.layers[diffID]?.name
            }
        }
        for name in names { _ = clinux_set_times(AT_FDCWD, recordPath(name), now, now) }
        return names
    }

    /// Ends one ``pin(_:)`` of each.
    public func unpin(_ diffIDs: [Digest]) {
        state.withLock { state in
            for diffID in diffIDs {
                guard let pins = state.layers[diffID]?.pins, pins > 0 else { continue }
                state.layers[diffID]?.pins = pins - 1
            }
        }
    }

    // MARK: Making

    /// A new empty upper directory.
    /// - Parameter top: the layer right below. Overlayfs shows the root as the uppermost directory has it: the new one takes over its mode
    ///   and owner.
    public func newUpper(above top: Digest? = nil) throws -> StagingLayer {
        let status = try top.map { top in
            try FileDescriptor(Array((directory + "/" + path(of: top)).utf8), flags: O_RDONLY | O_DIRECTORY).status()
        }
        let staging = StagingLayer(name: temporaryName(), in: directory)
        do {
            try Self.makeDirectory(staging.path, 0o700)
            try Self.makeDirectory(staging.upper)
            try Self.makeDirectory(staging.work)
            guard let status else { return staging }
            guard chown(staging.upper, status.uid, status.gid) == 0, chmod(staging.upper, UInt32(status.mode)) == 0 else {
                throw LayerStoreError.call("set the owner and mode of", staging.upper)
            }
            return staging
        } catch {
            try? discard(staging)
            throw error
        }
    }

    /// Makes a layer of what lies in the staging's upper directory, which must not be mounted or changed any more. The staging is used up.
    ///
    /// Costs one read of everything in it. The layer is not forced onto the disk; see ``synchronize()``. If the same layer is here
    /// already, that one stays.
    public func commit(_ staging: StagingLayer) throws -> LayerDescriptor {
        let layer: LayerDescriptor
        do {
            layer = try LayerArchive.write(directory: staging.upper, form: .overlayUpper, to: nil)
            // The root's time is not part of a layer; it shall not depend on the agent either.
            _ = clinux_set_times(AT_FDCWD, staging.upper, 0, 0)
        } catch {
            try? discard(staging)
            throw error
        }
        try publish(staging, layer, archive: nil)
        return layer
    }

    /// Deletes a staging and what was made in it.
    public func discard(_ staging: StagingLayer) throws { try TreeRemoval.remove(staging.path) }

    /// Forces all layers onto the disk and notes that they are there. To be called now and then; costs as much as there is to write.
    public func synchronize() throws {
        let pending = state.withLock { $0.layers.values.filter { $0.record.unsynchronizedBoot != nil }.map(\.record.layer.diffID) }
        if pending.isEmpty { return }
        let root = try FileDescriptor(Array(directory.utf8), flags: O_RDONLY | O_DIRECTORY)
        try withExtendedLifetime(root) {
            guard clinux_syncfs(root.number) == 0 else { throw LayerStoreError.call("synchronize", directory) }
        }
        for diffID in pending {
            let temporary = directory + "/" + temporaryName()
            try state.withLock { state in
                guard var entry = state.layers[diffID] else { return }
                entry.record.unsynchronizedBoot = nil
                try entry.record.write(to: recordPath(entry.name), by: temporary)
                _ = clinux_set_times(AT_FDCWD, recordPath(entry.name), entry.lastUse, entry.lastUse)
                state.layers[diffID] = entry
            }
        }
    }

    // MARK: Inside

    /// Gives a finished directory its name. The staging is used up, also when this throws.
    func publish(_ staging: StagingLayer, _ layer: LayerDescriptor, archive: (path: String, bytes: Int64)?) throws {
        defer { try? discard(staging) }
        let record = LayerRecord(layer: layer, keepsArchive: archive != nil, unsynchronizedBoot: boot)
        let temporary = directory + "/" + temporaryName()
        try state.withLock { state in
            guard state.layers[layer.diffID] == nil else { return }
            let name = String(state.nextName, radix: 36)
            state.nextName += 1
            // The directory's name comes last: a layer is there when its directory is.
            if let archive {
                guard rename(archive.path, archivePath(name)) == 0 else { throw LayerStoreError.call("rename", archive.path) }
            }
            try record.write(to: recordPath(name), by: temporary)
            guard rename(staging.upper, directory + "/" + name) == 0 else { throw LayerStoreError.call("rename", staging.upper) }
            state.layers[layer.diffID] = Entry(name: name, record: record, bytes: layer.size + (archive?.bytes ?? 0), lastUse: Self.now())
        }
    }

    func recordPath(_ name: String) -> String { "\(directory)/\(name).layer" }
    func archivePath(_ name: String) -> String { "\(directory)/\(name).tar.zst" }
    func contentsPath(_ name: String) -> String { "\(directory)/\(name)\(Self.contentsSuffix)" }
    static let contentsSuffix = ".contents"

    func temporaryName() -> String {
        state.withLock { state in
            state.nextTemporary += 1
            return "tmp/" + String(state.nextTemporary, radix: 36)
        }
    }

    /// What the file ``formatName`` says: opening deletes what it does not know, and must not do so in a directory of someone else.
    private static let format = Array("farm layers 1\n".utf8)
    static let formatName = "format"

    private static func claim(_ directory: String) throws {
        let path = directory + "/" + formatName
        if let found = try? SmallFile.read(path), found == format { return }
        let names = try DirectoryListing.names(in: FileDescriptor(Array(directory.utf8), flags: O_RDONLY | O_DIRECTORY))
        // A file that is cut off was all that a crash left.
        guard names.allSatisfy({ $0.elementsEqual(formatName.utf8) }) else { throw LayerStoreError.notAStore(path: directory) }
        try SmallFile.write(format, to: path)
    }

    static func makeDirectory(_ path: String, _ mode: UInt32 = LayerArchive.defaultDirectoryMode) throws {
        guard mkdir(path, mode) == 0 || errno == EEXIST, chmod(path, mode) == 0 else { throw LayerStoreError.call("create", path) }
    }

    static func now() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}
