import BlockingIO
import BuildPlan
import Digests
import Glibc

/// One thread's part of a scan.
struct ScanWorker: Sendable {
    /// A large file that was hashed.
    struct LargeFile: Sendable {
        var node: ScanNode
        var file: Int
        var status: FileStatus
        var digest: Digest
    }

    private static let bufferSize = 256 << 10

    private let root: FileDescriptor
    private let ignore: IgnorePatterns
    private let known: ScanIndex
    private let largeFile: Int64
    private let attempts: Int
    private var buffer = [UInt8](repeating: 0, count: bufferSize)

    /// All files with their digests, for the next index.
    private(set) var seen: [ScanIndex.Entry] = []
    private(set) var large: [LargeFile] = []
    private(set) var hashedCount = 0

    init(root: FileDescriptor, ignore: IgnorePatterns, known: ScanIndex, largeFile: Int64, attempts: Int) {
        self.root = root
        self.ignore = ignore
        self.known = known
        self.largeFile = largeFile
        self.attempts = attempts
    }

    /// Does a job; returns those that come of it.
    mutating func run(_ job: ScanJob) throws -> [ScanJob] {
        switch job {
        case .list(let node): return try list(node)
        case .hash(let node, let index):
            let file = node.files[index]
            let (status, digest) = try hash(file.name, in: nil, path: joined(node.path, file.name), file.status)
            large.append(LargeFile(node: node, file: index, status: status, digest: digest))
            return []
        }
    }

    private mutating func list(_ node: ScanNode) throws -> [ScanJob] {
        let flags = O_RDONLY | O_DIRECTORY | (node.parent == nil ? 0 : O_NOFOLLOW)
        let directory = try FileDescriptor(node.path, in: root.number, flags: flags)
        node.status = try directory.status()
        var found: [ScanJob] = []
        var names: [([UInt8], FileStatus.Kind?)] = []
        try DirectoryListing.forEach(in: directory) { names.append(($0, $1)) }
        for (name, listedKind) in names where listedKind != .socket {
            var decision = IgnorePatterns.Decision.include
            if !ignore.isEmpty {
                let isDirectory = try listedKind ?? FileStatus.of(name, in: directory.number)?.kind
                decision = ignore.decision(path: joined(node.path, name), isDirectory: isDirectory == .directory)
                if decision == .exclude { continue }
            }
            if listedKind == .directory {
                found.append(.list(child(name, of: node, decision)))
                continue
            }
            // Gone since it was listed: as if it had never been there.
            guard let status = try FileStatus.of(name, in: directory.number) else { continue }
            switch status.kind {
            case .directory: found.append(.list(child(name, of: node, decision)))
            case .file: try add(file: name, status, in: directory, to: node, &found)
            case .symlink:
                let target = try readLink(name, in: directory.number)
                let entry = TreeEntry(name: name, mode: status.mode, modified: status.modified, content: .symlink(target: target))
                node.others.append(entry)
            case .fifo:
                node.others.append(TreeEntry(name: name, mode: status.mode, modified: status.modified, content: .fifo))
            case .socket: continue
            case .characterDevice, .blockDevice: throw FileTreeError.deviceNode(path: joined(node.path, name))
            }
        }
        return found
    }

    private func child(_ name: [UInt8], of node: ScanNode, _ decision: IgnorePatterns.Decision) -> ScanNode {
        ScanNode(path: joined(node.path, name), name: name, parent: node, isKept: decision == .include)
    }

    private mutating func add(
        file name: [UInt8], _ status: FileStatus, in directory: FileDescriptor, to node: ScanNode, _ found: inout [ScanJob]
    ) throws {
        if let digest = known.digest(of: status) {
            seen.append(ScanIndex.Entry(status, digest))
            node.files.append(ScanFile(name: name, status: status, digest: digest))
        } else if status.size >= largeFile {
            found.append(.hash(node, file: node.files.count))
            node.files.append(ScanFile(name: name, status: status, digest: nil))
        } else {
            let (status, digest) = try hash(name, in: directory, path: joined(node.path, name), status)
            node.files.append(ScanFile(name: name, status: status, digest: digest))
        }
    }

    // The status is the one that belongs to the digest: a file that changes while it is read is read again.
    private mutating func hash(
        _ name: [UInt8], in directory: FileDescriptor?, path: [UInt8], _ status: FileStatus
    ) throws -> (FileStatus, Digest) {
        hashedCount += 1
        for _ in 0..<attempts {
            let number = withPath(directory == nil ? path : name) {
                openat((directory ?? root).number, $0, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
            }
            guard number >= 0 else {
                // Removed, or a link now: not what was listed a moment ago.
                if errno == ENOENT || errno == ELOOP { throw FileTreeError.changedWhileRead(path: path) }
                throw FileTreeError.last("read", path)
            }
            let file = FileDescriptor(owning: number, path: path)
            let before = try file.status()
            guard before.kind == .file else { continue }
            var hasher = SHA256Hasher()
            var total: Int64 = 0
            try buffer.withUnsafeMutableBytes { buffer in
                while true {
                    let count = try file.read(into: buffer)
                    if count == 0 { return }
                    total += Int64(count)
                    hasher.update(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
                }
            }
            guard total == before.size, try file.status().isUnchanged(since: before) else { continue }
            let digest = hasher.finalize()
            seen.append(ScanIndex.Entry(before, digest))
            return (before, digest)
        }
        throw FileTreeError.changedWhileRead(path: path)
    }
}
