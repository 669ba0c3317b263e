import BlockingIO
import BuildPlan
import Digests
import Glibc

/// Finds what a path or a pattern means in a mounted root, and its content digest: what ``TreeSelector`` is for a context.
///
/// Nothing leads out of the root: links and `..` are resolved within it.
public struct RootSelector: Sendable {
    private static let version = "farm-root-selection-1"
    // Hashing is bound by the processors and the disk's queue.
    private static let threadLimit = 8
    private static let bufferSize = 256 << 10

    private let resolver: RootResolver

    /// - Parameter root: the directory at which the root is mounted.
    public init(root: FileDescriptor) { resolver = RootResolver(root: root) }

    /// Opens the directory at which the root is mounted.
    public init(path: [UInt8]) throws { resolver = try RootResolver(path: path) }

    /// What a source means, in the order of the paths' components.
    ///
    /// Without wildcards it is exactly one, or ``FileTreeError/notFound(path:)``; a pattern may match nothing.
    public func select(_ path: String, wildcards: Bool) throws -> [RootMatch] {
        let source = try SourcePattern(path, wildcards: wildcards)
        let base = Array(source.directory.joined(separator: [UInt8(ascii: "/")]))
        guard !source.patterns.isEmpty else { return [try match(base)] }
        var found: [RootMatch]
        do {
            found = [try match(base)]
        } catch FileTreeError.notFound, FileTreeError.notDirectory {
            return []
        }
        for pattern in source.patterns {
            var next: [RootMatch] = []
            for candidate in found where candidate.status.kind == .directory {
                let directory = try resolver.open(candidate.place, flags: O_RDONLY | O_DIRECTORY)
                for name in try DirectoryListing.names(in: directory) where pattern.matches(name) {
                    guard let status = try FileStatus.of(name, in: directory.number), status.kind != .socket else { continue }
                    next.append(RootMatch(path: joined(candidate.path, name), place: joined(candidate.place, name), status: status))
                }
            }
            found = next
        }
        return try found.map { found in found.status.kind == .symlink ? try match(found.place, as: found.path) : found }
    }

    private func match(_ path: [UInt8], as shown: [UInt8]? = nil) throws -> RootMatch {
        let place = try resolver.resolve(path)
        guard let status = place.status else { throw FileTreeError.notFound(path: FileTreeError.text(shown ?? path)) }
        return RootMatch(path: shown ?? path, place: place.path, status: status)
    }

    /// The content digest of a selection: everything that COPY --from or a mount could make of it, times excepted.
    ///
    /// Names, kinds, modes, owners, extended attributes, device numbers, targets of symlinks, contents, and which names are links of one
    /// file. Reads every file once, several at a time.
    public func digest(of selection: [RootMatch], rules: PathRules = PathRules()) throws -> Digest {
        let selection = kept(selection, rules: rules)
        var all: [(match: RootMatch, entries: [RootEntry])] = []
        for match in selection { all.append((match, try resolver.entries(at: match.place, rules: rules))) }
        let contents = try contents(
            of: all.flatMap { match, entries in
                entries.lazy.filter { $0.status.kind == .file }.map { (FileKey($0.status), joined(match.place, $0.path)) }
            })
        var encoder = SelectionEncoder(version: Self.version, contents: contents)
        encoder.append(selection.count)
        for (match, entries) in all {
            encoder.append(entries.count)
            for entry in entries {
                let isRoot = entry.path.isEmpty
                encoder.append(entry, named: isRoot ? (entry.status.kind == .directory ? [] : match.name) : entry.path)
            }
        }
        return encoder.digest
    }

    /// The content digest of a part of the root, or ``FileTreeError/notFound(path:)`` when nothing is there; with a filter, that of nothing.
    public func digest(of part: TreeSelection) throws -> Digest {
        let matches = try select(part)
        guard !matches.isEmpty || part.filter != nil else { throw FileTreeError.notFound(path: part.path) }
        return try digest(of: matches, rules: part.rules)
    }

    /// What a part of the root is: with a filter it may be nothing.
    public func select(_ part: TreeSelection) throws -> [RootMatch] {
        do {
            return try select(part.path, wildcards: part.wildcards)
        } catch FileTreeError.notFound where part.filter != nil {
            return []
        } catch FileTreeError.notDirectory where part.filter != nil {
            return []
        }
    }

    /// A selection without the files that `--exclude` names themselves; in directories, patterns are relative to the directory.
    public func kept(_ selection: [RootMatch], rules: PathRules) -> [RootMatch] {
        guard !rules.isEmpty else { return selection }
        return selection.filter { $0.status.kind == .directory || rules.decision(path: $0.name, isDirectory: false) == .include }
    }

    // Each file once, whatever the number of its names.
    private func contents(of files: [(FileKey, [UInt8])]) throws -> [FileKey: Digest] {
        var unique: [FileKey: [UInt8]] = [:]
        for (key, path) in files where unique[key] == nil { unique[key] = path }
        let jobs = Array(unique)
        let progress = Monitor((next: 0, digests: [FileKey: Digest](minimumCapacity: jobs.count)))
        let processors = max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))
        try withThreads(min(Self.threadLimit, 2 * processors, max(1, jobs.count))) { _ in
            var buffer = [UInt8](repeating: 0, count: Self.bufferSize)
            while true {
                let job = progress.withLock { state in
                    defer { state.next += 1 }
                    return state.next < jobs.count ? jobs[state.next] : nil
                }
                guard let (key, path) = job else { return }
                let digest = try hash(path, &buffer)
                progress.withLock { $0.digests[key] = digest }
            }
        }
        return progress.withLock { $0.digests }
    }

    private func hash(_ path: [UInt8], _ buffer: inout [UInt8]) throws -> Digest {
        let file = try resolver.open(path, flags: O_RDONLY | O_NONBLOCK)
        var hasher = SHA256Hasher()
        try buffer.withUnsafeMutableBytes { buffer in
            while true {
                let count = try file.read(into: buffer)
                if count == 0 { return }
                hasher.update(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
            }
        }
        return hasher.finalize()
    }
}

/// Which file it is, whatever its name.
struct FileKey: Hashable, Sendable {
    var device: UInt64
    var inode: UInt64

    init(_ status: FileStatus) {
        device = status.device
        inode = status.inode
    }
}

// docs/formats.md, "Content digest of a selection in a root".
private struct SelectionEncoder: ~Copyable {
    private var hasher = SHA256Hasher()
    private let contents: [FileKey: Digest]
    /// The position of the first name of a file that has several.
    private var firstNames: [FileKey: Int] = [:]
    private var position = 0

    init(version: String, contents: [FileKey: Digest]) {
        self.contents = contents
        hasher.update(version)
    }

    mutating func append(_ number: Int) {
        withUnsafeBytes(of: Int64(number).littleEndian) { hasher.update($0) }
    }

    mutating func append(_ entry: RootEntry, named name: [UInt8]) {
        let status = entry.status
        var bytes = [status.kind.rawValue]
        bytes.append(UInt32(name.count))
        bytes.append(contentsOf: name)
        bytes.append(status.kind == .symlink ? UInt16(0o777) : status.mode)
        bytes.append(status.uid)
        bytes.append(status.gid)
        bytes.append(UInt32(entry.attributes.count))
        for attribute in entry.attributes {
            for part in [attribute.name, attribute.value] {
                bytes.append(UInt32(part.count))
                bytes.append(contentsOf: part)
            }
        }
        switch status.kind {
        case .file:
            let key = FileKey(status)
            let first = status.links > 1 ? firstNames[key, default: position] : position
            if status.links > 1 { firstNames[key] = first }
            bytes.append(UInt64(position - first))
            if let digest = contents[key] { bytes.append(digest) }
        case .symlink:
            bytes.append(UInt32(entry.target.count))
            bytes.append(contentsOf: entry.target)
        case .characterDevice, .blockDevice: bytes.append(status.representedDevice)
        case .directory, .fifo, .socket: break
        }
        hasher.update(bytes)
        position += 1
    }

    var digest: Digest { consuming get { hasher.finalize() } }
}
