import BuildPlan
import CLinux
import Glibc

/// Creates the entries of an archive below a root, and nothing outside of it.
///
/// Whoever gives the parent directories decides how links in them are treated; an entry itself never goes through a link: it is made
/// anew under its own name in an open directory.
struct LayerExtractor {
    private let directories: any ParentDirectories
    private let form: LayerForm
    private let owner: ExtractedOwner
    private let devices: ExtractedDevices
    /// What directories get at the end, when nothing is created in them any more. The last entry of a path counts.
    private var pending: [[UInt8]: TarEntry] = [:]
    private(set) var result = ExtractionResult()

    init(into directories: any ParentDirectories, form: LayerForm, owner: ExtractedOwner, devices: ExtractedDevices) {
        self.directories = directories
        self.form = form
        self.owner = owner
        self.devices = devices
    }

    /// Lets the root be as an archive without an entry of its own for it means it.
    mutating func defaultRoot() { pending[[]] = TarEntry(path: [], kind: .directory, mode: LayerArchive.defaultDirectoryMode) }

    /// Creates everything that the reader gives, then sets the directories' modes and times, deepest first.
    mutating func extract(_ tar: TarReader) throws {
        while let entry = try tar.next() { try create(entry, tar) }
        // A directory sorts before what is in it.
        for (_, entry) in pending.sorted(by: { $1.key.lexicographicallyPrecedes($0.key) }) { try finish(entry) }
    }

    private mutating func create(_ entry: TarEntry, _ tar: TarReader) throws {
        guard let (parent, name) = try parent(of: entry.path) else {
            guard entry.kind == .directory else { throw LayerError.refuse(entry.path, "the root must be a directory") }
            if directories.ownsRoot { pending[[]] = entry }
            return
        }
        if form == .overlayUpper, name.starts(with: Whiteout.prefix) { return try whiteout(name, parent, entry) }
        if entry.kind == .directory { return try directory(entry, name, parent) }
        if case .hardLink(let target) = entry.kind { return try link(entry, name, parent, to: target) }
        guard entry.kind != .characterDevice(major: 0, minor: 0) else {
            throw LayerError.refuse(entry.path, "a character device 0/0 is overlayfs's mark of a deletion")
        }
        if isSkipped(entry.kind) {
            result.skippedDevices += 1
            return
        }
        try make(entry, name, parent, tar)
        result.entries += 1
    }

    private mutating func parent(of path: [UInt8]) throws -> (Int32, ArraySlice<UInt8>)? {
        guard !path.isEmpty else { return nil }
        guard let slash = path.lastIndex(of: UInt8(ascii: "/")) else { return (directories.root, path[...]) }
        let parent = try directories.open(path[..<slash]) { created in
            // Not mentioned so far: a mode and a time that are the same everywhere.
            if pending[created] == nil {
                pending[created] = TarEntry(path: created, kind: .directory, mode: LayerArchive.defaultDirectoryMode)
            }
        }
        return (parent, path[(slash + 1)...])
    }

    // MARK: Kinds

    private func make(_ entry: TarEntry, _ name: ArraySlice<UInt8>, _ parent: Int32, _ tar: TarReader) throws {
        if case .file(let size) = entry.kind { return try file(entry, size, name, parent, tar) }
        try withCString(name) { name in
            try creating(entry, name, parent) {
                switch entry.kind {
                case .symbolicLink(let target): withCString(target) { symlinkat($0, parent, name) }
                case .fifo: mkfifoat(parent, name, 0o600)
                case .characterDevice(let major, let minor):
                    clinux_mknodat(parent, name, S_IFCHR | 0o600, clinux_makedev(major, minor))
                case .blockDevice(let major, let minor):
                    clinux_mknodat(parent, name, S_IFBLK | 0o600, clinux_makedev(major, minor))
                case .file, .directory, .hardLink: -1
                }
            }
            if let (uid, gid) = owner.of(entry) {
                guard fchownat(parent, name, uid, gid, AT_SYMLINK_NOFOLLOW) == 0 else {
                    throw LayerError.call("set the owner of", entry.path)
                }
            }
            // A link has no mode; nobody else writes into this directory, so that the name still is what was just made.
            if case .symbolicLink = entry.kind {
            } else {
                guard fchmodat(parent, name, entry.mode, 0) == 0 else { throw LayerError.call("set the mode of", entry.path) }
            }
            try setTimes(parent, name, entry)
        }
    }

    private func file(_ entry: TarEntry, _ size: Int64, _ name: ArraySlice<UInt8>, _ parent: Int32, _ tar: TarReader) throws {
        var number: Int32 = -1
        try withCString(name) { name in
            try creating(entry, name, parent) {
                number = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
                return number
            }
        }
        try Descriptor(owning: number).use { file in
            var end: Int64 = 0
            try tar.contents { bytes, offset in
                try write(bytes, at: offset, to: file, entry.path)
                end = offset + Int64(bytes.count)
            }
            guard end <= size else { throw LayerError.refuse(entry.path, "it is longer than its header says") }
            if end < size {
                guard ftruncate(file, off_t(size)) == 0 else { throw LayerError.call("extend", entry.path) }
            }
            try attributes(file, entry)
        }
    }

    private func write(_ bytes: UnsafeRawBufferPointer, at offset: Int64, to file: Int32, _ path: [UInt8]) throws {
        var done = 0
        while done < bytes.count {
            let count = pwrite(file, bytes.baseAddress?.advanced(by: done), bytes.count - done, off_t(offset) + off_t(done))
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw LayerError.call("write", path) }
            done += count
        }
    }

    private mutating func directory(_ entry: TarEntry, _ name: ArraySlice<UInt8>, _ parent: Int32) throws {
        try withCString(name) { cName in
            if mkdirat(parent, cName, 0o700) != 0 {
                guard errno == EEXIST else { throw LayerError.call("create the directory", entry.path) }
                var status = stat()
                guard fstatat(parent, cName, &status, AT_SYMLINK_NOFOLLOW) == 0 else { throw LayerError.call("stat", entry.path) }
                if status.st_mode & S_IFMT != S_IFDIR {
                    let hides = isWhiteout(status)
                    guard unlinkat(parent, cName, 0) == 0, mkdirat(parent, cName, 0o700) == 0 else {
                        throw LayerError.call("replace", entry.path)
                    }
                    // Deleted below and made anew: nothing of the lower directory may shine through.
                    if hides { try makeOpaque(parent, cName, entry.path) }
                }
            }
        }
        pending[entry.path] = entry
        result.entries += 1
    }

    private mutating func link(_ entry: TarEntry, _ name: ArraySlice<UInt8>, _ parent: Int32, to target: [UInt8]) throws {
        guard target != entry.path else { throw LayerError.refuse(entry.path, "it is a hard link to itself") }
        // The second lookup may close the first's descriptor.
        let here = Descriptor(owning: fcntl(parent, F_DUPFD_CLOEXEC, 0))
        guard let (targetParent, targetName) = try self.parent(of: target) else {
            throw LayerError.refuse(entry.path, "it is a hard link to the root")
        }
        try withCString(targetName) { targetName in
            var status = stat()
            guard fstatat(targetParent, targetName, &status, AT_SYMLINK_NOFOLLOW) == 0, status.st_mode & S_IFMT != S_IFDIR,
                !isWhiteout(status)
            else {
                throw LayerError.refuse(
                    entry.path,
                    "it is a hard link to '\(String(decoding: target, as: UTF8.self))', which is no file of this archive before it")
            }
            try withCString(name) { name in
                try here.use { here in try creating(entry, name, here) { linkat(targetParent, targetName, here, name, 0) } }
            }
        }
        result.entries += 1
    }

    private mutating func whiteout(_ name: ArraySlice<UInt8>, _ parent: Int32, _ entry: TarEntry) throws {
        if name.elementsEqual(Whiteout.opaqueName) { return try makeOpaque(parent, ".", entry.path) }
        if name.starts(with: Whiteout.aufsPrefix) { return }
        let hidden = name.dropFirst(Whiteout.prefix.count)
        guard !hidden.isEmpty, !hidden.elementsEqual(".".utf8), !hidden.elementsEqual("..".utf8) else {
            throw LayerError.refuse(entry.path, "it is a whiteout of nothing")
        }
        try withCString(hidden) { hidden in
            guard clinux_mknodat(parent, hidden, S_IFCHR, 0) != 0 else { return }
            guard errno == EEXIST else { throw LayerError.call("make the whiteout", entry.path) }
            // The archive has the name already, and it has it in the result: only what is below is hidden.
            var status = stat()
            guard fstatat(parent, hidden, &status, AT_SYMLINK_NOFOLLOW) == 0 else { throw LayerError.call("stat", entry.path) }
            if status.st_mode & S_IFMT == S_IFDIR { try makeOpaque(parent, hidden, entry.path) }
        }
        result.entries += 1
    }

    // MARK: Attributes

    private func finish(_ entry: TarEntry) throws {
        let directory = try entry.path.isEmpty ? directories.root : directories.open(entry.path[...]) { _ in }
        try attributes(directory, entry)
    }

    // Owner first: a change of owner clears the set-id bits and the file capability. Times last: everything else changes them.
    private func attributes(_ descriptor: Int32, _ entry: TarEntry) throws {
        if let (uid, gid) = owner.of(entry) {
            guard fchown(descriptor, uid, gid) == 0 else { throw LayerError.call("set the owner of", entry.path) }
        }
        guard fchmod(descriptor, entry.mode) == 0 else { throw LayerError.call("set the mode of", entry.path) }
        for attribute in entry.xattrs {
            let status = withCString(attribute.name) { name in
                attribute.value.withUnsafeBytes { clinux_fsetxattr(descriptor, name, $0.baseAddress, $0.count, 0) }
            }
            guard status == 0 || owner.isLenient else {
                throw LayerError.call("set the extended attribute '\(String(decoding: attribute.name, as: UTF8.self))' of", entry.path)
            }
        }
        var times = Self.times(entry)
        guard futimens(descriptor, &times) == 0 else { throw LayerError.call("set the times of", entry.path) }
    }

    private func setTimes(_ parent: Int32, _ name: UnsafePointer<CChar>, _ entry: TarEntry) throws {
        var times = Self.times(entry)
        guard utimensat(parent, name, &times, AT_SYMLINK_NOFOLLOW) == 0 else { throw LayerError.call("set the times of", entry.path) }
    }

    private static func times(_ entry: TarEntry) -> [timespec] {
        let time = timespec(tv_sec: Int(entry.seconds), tv_nsec: Int(entry.nanoseconds))
        return [time, time]
    }

    private func makeOpaque(_ parent: Int32, _ name: UnsafePointer<CChar>, _ path: [UInt8]) throws {
        let number = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        guard number >= 0 else { throw LayerError.call("open", path) }
        let directory = Descriptor(owning: number)
        guard directory.use({ clinux_fsetxattr($0, LayerXattrs.opaque, "y", 1, 0) }) == 0 else {
            throw LayerError.call("make opaque", path)
        }
    }

    /// Creates a name, in the place of an older entry of the same name that is no directory.
    private func creating(_ entry: TarEntry, _ name: UnsafePointer<CChar>, _ parent: Int32, _ body: () -> Int32) throws {
        if body() >= 0 { return }
        guard errno == EEXIST else { throw LayerError.call("create", entry.path) }
        guard unlinkat(parent, name, 0) == 0 else {
            if errno == EISDIR { throw LayerError.refuse(entry.path, "it would replace a directory") }
            throw LayerError.call("replace", entry.path)
        }
        guard body() >= 0 else { throw LayerError.call("create", entry.path) }
    }

    private func isWhiteout(_ status: stat) -> Bool {
        form == .overlayUpper && status.st_mode & S_IFMT == S_IFCHR && status.st_rdev == 0
    }

    private func isSkipped(_ kind: TarEntry.Kind) -> Bool {
        switch kind {
        case .characterDevice, .blockDevice: devices == .skip
        default: false
        }
    }
}
