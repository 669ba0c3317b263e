import BuildPlan
import CLinux
import Glibc

/// Walks a layer's directory in canonical order and writes its tar.
///
/// The order is a preorder walk with the names of each directory sorted as bytes. A whiteout stands where the name stood that it
/// hides; an opaque directory's mark comes first in it. The first name of several hard links is the file.
struct LayerWriter {
    private struct Inode: Hashable {
        var device: UInt
        var number: UInt
    }

    private let tar: TarWriter
    private let form: LayerForm
    private var links: [Inode: [UInt8]] = [:]
    private var path: [UInt8] = []
    private var depth = 0

    init(tar: TarWriter, form: LayerForm) {
        self.tar = tar
        self.form = form
    }

    /// Writes all of the tree below an open directory.
    mutating func write(root: Descriptor) throws {
        var status = stat()
        guard fstat(root.number, &status) == 0 else { throw LayerError.call("stat", path) }
        let found = try LayerXattrs.read(root.number, path: path)
        // A root of default attributes is left out; its times never count, or no two layers would be alike.
        if status.st_mode & 0o7777 != LayerArchive.defaultDirectoryMode || status.st_uid != 0 || status.st_gid != 0 || !found.kept.isEmpty {
            try tar.header(
                TarEntry(
                    path: [UInt8(ascii: ".")], kind: .directory, mode: status.st_mode & 0o7777, uid: status.st_uid, gid: status.st_gid,
                    xattrs: found.kept))
        }
        try children(of: root, opaque: found.isOpaque)
    }

    private mutating func children(of directory: Descriptor, opaque: Bool) throws {
        depth += 1
        defer { depth -= 1 }
        guard depth <= LayerLimits.maximumDepth else {
            throw LayerError.refuse(path, "it is deeper than \(LayerLimits.maximumDepth) directories")
        }
        let length = path.count
        if opaque, form == .overlayUpper { try mark(Whiteout.opaqueName) }
        for name in try Self.names(in: directory, path: path) {
            path.append(contentsOf: name)
            try entry(name, in: directory)
            path.removeLast(path.count - length)
        }
    }

    private mutating func entry(_ name: [UInt8], in directory: Descriptor) throws {
        var status = stat()
        guard withCString(name, { fstatat(directory.number, $0, &status, AT_SYMLINK_NOFOLLOW) }) == 0 else {
            throw LayerError.call("stat", path)
        }
        if form == .overlayUpper {
            if status.st_mode & S_IFMT == S_IFCHR, status.st_rdev == 0 {
                path.removeLast(name.count)
                return try mark(Whiteout.prefix + name)
            }
            guard !name.starts(with: Whiteout.prefix) else {
                throw LayerError.refuse(path, "names that begin with '.wh.' mean deletions in image layers; choose another name")
            }
        }
        var entry = TarEntry(path: path, kind: .directory, mode: status.st_mode & 0o7777, uid: status.st_uid, gid: status.st_gid)
        // Readers disagree about times before 1970, and ustar has none.
        if status.st_mtim.tv_sec >= 0 {
            entry.seconds = Int64(status.st_mtim.tv_sec)
            entry.nanoseconds = Int64(status.st_mtim.tv_nsec)
        }
        if status.st_mode & S_IFMT == S_IFDIR { return try self.directory(name, in: directory, entry) }
        if status.st_nlink > 1 {
            let inode = Inode(device: UInt(status.st_dev), number: UInt(status.st_ino))
            if let first = links[inode] {
                entry.kind = .hardLink(target: first)
                return try tar.header(entry)
            }
            links[inode] = path
        }
        let device = UInt64(status.st_rdev)
        switch status.st_mode & S_IFMT {
        case S_IFREG: try file(name, in: directory, entry, size: Int64(status.st_size))
        case S_IFLNK:
            entry.kind = .symbolicLink(target: try linkTarget(name, in: directory))
            try tar.header(entry)
        case S_IFIFO:
            entry.kind = .fifo
            try tar.header(entry)
        case S_IFCHR:
            entry.kind = .characterDevice(major: clinux_major(device), minor: clinux_minor(device))
            try tar.header(entry)
        case S_IFBLK:
            entry.kind = .blockDevice(major: clinux_major(device), minor: clinux_minor(device))
            try tar.header(entry)
        // A socket is nothing without the process that listens on it, and tar has no type for it.
        default: break
        }
    }

    private mutating func directory(_ name: [UInt8], in parent: Descriptor, _ entry: TarEntry) throws {
        let directory = try open(name, in: parent, O_DIRECTORY)
        let found = try directory.use { try LayerXattrs.read($0, path: path) }
        var entry = entry
        entry.xattrs = found.kept
        try tar.header(entry)
        path.append(UInt8(ascii: "/"))
        try children(of: directory, opaque: found.isOpaque)
    }

    private func file(_ name: [UInt8], in directory: Descriptor, _ entry: TarEntry, size: Int64) throws {
        var entry = entry
        entry.kind = .file(size: size)
        let file = try open(name, in: directory, O_NONBLOCK)
        try file.use { number in
            entry.xattrs = try LayerXattrs.read(number, path: path).kept
            try tar.header(entry)
            try tar.contents(of: number, size: size, path: path)
        }
    }

    private func mark(_ name: [UInt8]) throws { try tar.header(TarEntry(path: path + name, kind: .file(size: 0))) }

    private func open(_ name: [UInt8], in directory: Descriptor, _ flags: Int32) throws -> Descriptor {
        let number = withCString(name) { openat(directory.number, $0, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | flags) }
        guard number >= 0 else { throw LayerError.call("open", path) }
        return Descriptor(owning: number)
    }

    private func linkTarget(_ name: [UInt8], in directory: Descriptor) throws -> [UInt8] {
        try [UInt8](unsafeUninitializedCapacity: Int(PATH_MAX)) { buffer, count in
            let read = buffer.withMemoryRebound(to: CChar.self) { buffer in
                guard let base = buffer.baseAddress else { return -1 }
                return withCString(name) { readlinkat(directory.number, $0, base, buffer.count) }
            }
            guard read >= 0 else { throw LayerError.call("read the link", path) }
            count = read
        }
    }

    private static func names(in directory: Descriptor, path: [UInt8]) throws -> [[UInt8]] {
        // The stream owns a descriptor of its own, so that ours stays usable for openat.
        let copy = openat(directory.number, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard copy >= 0, let stream = fdopendir(copy) else { throw LayerError.call("list", path) }
        defer { closedir(stream) }
        var names: [[UInt8]] = []
        errno = 0
        while let entry = readdir(stream) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
            if name != [UInt8(ascii: ".")], name != [UInt8(ascii: "."), UInt8(ascii: ".")] { names.append(name) }
            errno = 0
        }
        guard errno == 0 else { throw LayerError.call("list", path) }
        names.sort { $0.lexicographicallyPrecedes($1) }
        return names
    }
}
