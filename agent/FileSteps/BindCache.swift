import BlockingIO
import BuildPlan
import Digests
import FileTree
import Glibc

/// Parts of contexts as files and directories on the disk, for bind mounts: read-only, one for each content.
///
/// Made aside and renamed, so that what is there is whole. What nobody holds may be trimmed. All methods block and may be called from
/// several threads; one process has a cache directory at a time.
public final class BindCache: Sendable {
    /// Something in the cache, which stays as long as this object.
    public final class Source: Sendable {
        /// The absolute path of the directory or file.
        public let path: String
        private let name: String
        private let cache: BindCache

        fileprivate init(path: String, name: String, cache: BindCache) {
            self.path = path
            self.name = name
            self.cache = cache
        }

        deinit { cache.release(name) }
    }

    private struct Entry {
        var bytes: UInt64
        var holders = 0
        var lastUse = 0
    }

    private struct State {
        var entries: [String: Entry] = [:]
        var clock = 0
        var nextAside = 0
    }

    private static let contentName = "content"
    private static let asidePrefix = "new-"

    private let directory: String
    private let state = Monitor(State())

    /// Opens a cache, making its directory where there is none. What an earlier process left is dropped: it is made again in little time.
    public init(directory: String) throws {
        self.directory = directory
        let path = Array(directory.utf8)
        if withPath(path, { mkdir($0, 0o700) }) != 0, errno != EEXIST {
            throw FileStepError.system(operation: "make directory", path: path, code: errno)
        }
        let open = try FileDescriptor(path, flags: O_RDONLY | O_DIRECTORY)
        for name in try DirectoryListing.names(in: open) { try FileRemoval.remove(joined(path, name)) }
    }

    /// The part of a context that a bind mount shows, made where it is not there yet.
    ///
    /// - Parameters:
    ///   - path: of the mount's source; no wildcards.
    ///   - contents: gives the contents of the files.
    ///   - interruption: ends the work early, by `CancellationError`.
    public func source(
        _ path: String, in selector: TreeSelector, contents: any ContentProvider, interruption: Interruption? = nil
    ) throws -> Source {
        let matches = try selector.select(path, wildcards: false)
        guard let match = matches.first else { throw FileTreeError.notFound(path: path) }
        let name = try selector.digest(of: matches).hex
        if let held = hold(name) { return held }
        let aside = state.withLock { state in
            defer { state.nextAside += 1 }
            return "\(directory)/\(Self.asidePrefix)\(state.nextAside)"
        }
        defer { try? FileRemoval.remove(Array(aside.utf8)) }
        let bytes = try make(match, of: selector, at: aside, contents, interruption)
        // Another thread may have made the same meanwhile: theirs stays.
        if rename(aside, "\(directory)/\(name)") != 0, errno != EEXIST, errno != ENOTEMPTY {
            throw FileStepError.system(operation: "rename", path: Array(aside.utf8), code: errno)
        }
        state.withLock { state in
            if state.entries[name] == nil { state.entries[name] = Entry(bytes: bytes) }
        }
        guard let held = hold(name) else { throw FileStepError.system(operation: "open", path: Array(name.utf8), code: ENOENT) }
        return held
    }

    private func make(
        _ match: SelectedEntry, of selector: TreeSelector, at aside: String, _ contents: any ContentProvider, _ interruption: Interruption?
    ) throws -> UInt64 {
        for path in [aside, "\(aside)/below", "\(aside)/upper"] where mkdir(path, 0o755) != 0 {
            throw FileStepError.system(operation: "make directory", path: Array(path.utf8), code: errno)
        }
        let target = try OpenTarget(.layer(below: "\(aside)/below", upper: "\(aside)/upper"))
        var plan = CopyPlan(resolver: target.resolver, owner: .root)
        try plan.addDirectories([])
        var bytes: UInt64 = 0
        try selector.walk(match) { path, entry in
            if case .file(_, let size) = entry.content { bytes &+= size }
            try plan.add(entry, at: joined(Array(Self.contentName.utf8), path), owner: .root, mode: nil)
        }
        let input = CopyInput.context(reader: selector.reader, root: Digest.of(""), contents: contents)
        var writer = try CopyWriter(target: target, input: input, interruption: interruption)
        try writer.write(plan)
        return bytes
    }

    private func hold(_ name: String) -> Source? {
        let found = state.withLock { state in
            guard state.entries[name] != nil else { return false }
            state.clock += 1
            state.entries[name]?.holders += 1
            state.entries[name]?.lastUse = state.clock
            return true
        }
        return found ? Source(path: "\(directory)/\(name)/upper/\(Self.contentName)", name: name, cache: self) : nil
    }

    private func release(_ name: String) { state.withLock { $0.entries[name]?.holders -= 1 } }

    /// Removes what nobody holds, the longest unused first, until the rest has at most `limit` bytes of contents.
    public func trim(to limit: UInt64) throws {
        let removed = state.withLock { state in
            var total = state.entries.values.reduce(0) { $0 &+ $1.bytes }
            var removed: [String] = []
            for (name, entry) in state.entries.sorted(by: { $0.value.lastUse < $1.value.lastUse }) where total > limit && entry.holders <= 0
            {
                // Out of the way at once, so that the same content can be made anew meanwhile.
                let aside = "\(directory)/\(Self.asidePrefix)\(state.nextAside)"
                state.nextAside += 1
                guard rename("\(directory)/\(name)", aside) == 0 else { continue }
                state.entries[name] = nil
                total -= min(total, entry.bytes)
                removed.append(aside)
            }
            return removed
        }
        for path in removed { try FileRemoval.remove(Array(path.utf8)) }
    }
}
