import BlockingIO
import CLinux
import Digests
import Glibc

/// Everything that a volume promises to keep of a directory tree, read with nothing of the code that is tested: what two trees are
/// compared by.
struct TreeDump: Equatable {
    struct Node: Equatable, CustomStringConvertible {
        var kind: mode_t
        var mode: mode_t
        var uid: uid_t
        var gid: gid_t
        var modified: String
        var size: Int64 = 0
        var content: [UInt8] = []
        var attributes: [String: [UInt8]] = [:]
        /// The first name of the same inode; empty where it does not matter.
        var first: [UInt8] = []
        /// Bytes that take no room: elsewhere about as many or more.
        var holes: Int64 = 0

        var description: String {
            let text = content.count > 80 ? "…" : String(decoding: content, as: UTF8.self)
            return "\(String(kind, radix: 8)) \(String(mode, radix: 8)) \(uid):\(gid) \(modified) size \(size) '\(text)' \(attributes) "
                + "link to '\(String(decoding: first, as: UTF8.self))' holes \(holes)"
        }
    }

    var nodes: [[UInt8]: Node] = [:]

    static func == (a: TreeDump, b: TreeDump) -> Bool { a.nodes == b.nodes }

    /// Reads the whole tree: names, metadata, contents. Sockets and devices are left out, as volumes leave them out.
    init(_ path: String) throws {
        let root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard root >= 0 else { throw Unreadable(path: path, code: errno) }
        try add([], root)
        try directory([], root)
        for (path, node) in nodes where node.kind == S_IFREG { nodes[path]?.first = firstNames[node.first] ?? node.first }
    }

    struct Unreadable: Error {
        var path: String
        var code: Int32
    }

    // Inode numbers as bytes lead to the first name in order of the bytes.
    private var firstNames: [[UInt8]: [UInt8]] = [:]

    /// Consumes the descriptor.
    private mutating func directory(_ path: [UInt8], _ number: Int32) throws {
        guard let stream = fdopendir(number) else { throw Unreadable(path: text(path), code: errno) }
        var below: [[UInt8]] = []
        while let entry = readdir(stream) {
            let start = UnsafeRawPointer(entry) + (MemoryLayout<dirent>.offset(of: \dirent.d_name) ?? 0)
            let name = [UInt8](UnsafeRawBufferPointer(start: start, count: strlen(start.assumingMemoryBound(to: CChar.self))))
            if name == Array(".".utf8) || name == Array("..".utf8) { continue }
            var status = stat()
            guard cString(name, { fstatat(dirfd(stream), $0, &status, AT_SYMLINK_NOFOLLOW) }) == 0 else {
                throw Unreadable(path: text(path), code: errno)
            }
            let child = path.isEmpty ? name : path + [UInt8(ascii: "/")] + name
            switch status.st_mode & S_IFMT {
            case S_IFLNK:
                var target = [CChar](repeating: 0, count: 4097)
                let count = cString(name) { readlinkat(dirfd(stream), $0, &target, target.count) }
                var node = Self.node(status)
                node.content = target.prefix(max(0, count)).map { UInt8(bitPattern: $0) }
                node.mode = 0
                nodes[child] = node
            case S_IFDIR: below.append(name)
            case S_IFREG, S_IFIFO:
                let file = cString(name) { openat(dirfd(stream), $0, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC) }
                guard file >= 0 else { throw Unreadable(path: text(child), code: errno) }
                defer { close(file) }
                try add(child, file)
            default: continue
            }
        }
        defer { closedir(stream) }
        for name in below {
            let child = path.isEmpty ? name : path + [UInt8(ascii: "/")] + name
            let number = cString(name) { openat(dirfd(stream), $0, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) }
            guard number >= 0 else { throw Unreadable(path: text(child), code: errno) }
            try add(child, number)
            try directory(child, number)
        }
    }

    private mutating func add(_ path: [UInt8], _ number: Int32) throws {
        var status = stat()
        guard fstat(number, &status) == 0 else { throw Unreadable(path: text(path), code: errno) }
        var node = Self.node(status)
        var names = [CChar](repeating: 0, count: 1 << 16)
        let length = clinux_flistxattr(number, &names, names.count)
        for part in names.prefix(max(0, length)).split(separator: 0) {
            let name = String(decoding: part.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            guard name.hasPrefix("user.") || name == "security.capability" || name.hasPrefix("system.posix_acl_") else { continue }
            var value = [UInt8](repeating: 0, count: 1 << 16)
            let count = clinux_fgetxattr(number, name, &value, value.count)
            node.attributes[name] = Array(value.prefix(max(0, count)))
        }
        if node.kind == S_IFREG {
            node.size = Int64(status.st_size)
            node.content = try Self.digest(number)
            node.holes = max(0, node.size - Int64(status.st_blocks) * 512)
            let inode = Array("\(status.st_dev):\(status.st_ino)".utf8)
            if let before = firstNames[inode], before.lexicographicallyPrecedes(path) {} else { firstNames[inode] = path }
            node.first = inode
        }
        nodes[path] = node
    }

    private static func node(_ status: stat) -> Node {
        let time = status.st_mtim
        return Node(
            kind: status.st_mode & S_IFMT, mode: status.st_mode & 0o7777, uid: status.st_uid, gid: status.st_gid,
            modified: "\(time.tv_sec).\(time.tv_nsec)")
    }

    private static func digest(_ number: Int32) throws -> [UInt8] {
        var hasher = SHA256Hasher()
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = read(number, &buffer, buffer.count)
            guard count >= 0 else { throw Unreadable(path: "a file", code: errno) }
            if count == 0 { break }
            buffer.withUnsafeBytes { hasher.update(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
        }
        return Array(hasher.finalize().bytes)
    }

    // MARK: Comparing

    /// What differs, in words; nil for equal trees. A directory's time may be that of either dump where nothing in it has changed.
    func difference(from expected: TreeDump, orDirectoryTimesOf earlier: TreeDump? = nil) -> String? {
        var lines: [String] = []
        for path in Set(nodes.keys).union(expected.nodes.keys).sorted(by: { $0.lexicographicallyPrecedes($1) }) {
            guard let here = nodes[path], var there = expected.nodes[path] else {
                lines.append("'\(text(path))' is \(nodes[path] == nil ? "missing" : "too much")")
                continue
            }
            if here.kind == S_IFDIR, here.modified == earlier?.nodes[path]?.modified { there.modified = here.modified }
            // Nobody promises holes below 64 KiB, and the kernel copies a file up by the megabyte.
            if there.first.isEmpty { there.first = here.first }
            if here.holes > there.holes / 2 - (128 << 10) { there.holes = here.holes }
            if here != there { lines.append("'\(text(path))'\n  is  \(here)\n  not \(there)") }
        }
        return lines.isEmpty ? nil : lines.prefix(10).joined(separator: "\n")
    }

    /// The part below a name of the root.
    func below(_ name: String) -> TreeDump {
        var part = self
        part.nodes = nodes.filter { $0.key.starts(with: Array("\(name)/".utf8)) }
        return part
    }

    /// Puts a part of another tree in the place of what is below a name.
    mutating func replace(_ name: String, by part: TreeDump) {
        nodes = nodes.filter { !$0.key.starts(with: Array("\(name)/".utf8)) }
        nodes.merge(part.below(name).nodes) { _, new in new }
        // Which names of an inode there are inside and outside is no longer known.
        var places: [[UInt8]: Set<Bool>] = [:]
        for (path, node) in nodes { places[node.first, default: []].insert(path.starts(with: Array("\(name)/".utf8))) }
        for (path, node) in nodes where places[node.first]?.count == 2 { nodes[path]?.first = [] }
    }
}

/// For messages.
func text(_ path: [UInt8]) -> String { path.count > 120 ? "…\(path.count) bytes…" : String(decoding: path, as: UTF8.self) }

func cString<R>(_ bytes: [UInt8], _ body: (UnsafePointer<CChar>) -> R) -> R {
    (bytes + [0]).withUnsafeBytes { buffer in
        guard let start = buffer.baseAddress else { return "".withCString(body) }
        return body(start.assumingMemoryBound(to: CChar.self))
    }
}
