import CLinux
import Glibc

/// Changes that builds and people make to a directory, at random from a seed: everything that a file system has, and each kind of thing
/// in the place of each other.
struct RandomChanges {
    private var random: Seeded
    private let root: String
    /// What it may touch: a folder of the root, empty for all.
    private let part: [UInt8]

    private struct Item {
        var path: [UInt8]
        var kind: mode_t
    }

    /// Numbers that are the same in every run of a seed (SplitMix64).
    struct Seeded: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state &+= 0x9e37_79b9_7f4a_7c15
            var z = state
            z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
            z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
            return z ^ (z >> 31)
        }
    }

    init(seed: UInt64, root: String, part: String = "") {
        random = Seeded(state: seed)
        self.root = root
        self.part = Array(part.utf8)
        var status = stat()
        if !part.isEmpty, lstat("\(root)/\(part)", &status) != 0 || status.st_mode & S_IFMT != S_IFDIR {
            unlink("\(root)/\(part)")
            mkdir("\(root)/\(part)", 0o755)
        }
    }

    private static let names: [[UInt8]] =
        ["a", "b", "c", "lib", "-rf", "a b", "new\nline", ".wh.x", ".wh..wh..opq", ".farm", "'\"\\", "ü", "tmp-1", "state"].map {
            Array($0.utf8)
        } + [[0xff, 0xfe], [0x01], [UInt8](repeating: 0x7a, count: 255)]

    private mutating func below(_ limit: Int) -> Int { Int.random(in: 0..<limit, using: &random) }
    private mutating func bytes(_ count: Int) -> [UInt8] { (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) } }

    /// Makes so many changes. What can't be done (a folder moved into itself) is no change.
    mutating func make(_ count: Int) {
        for _ in 0..<count { change() }
    }

    private func absolute(_ path: [UInt8]) -> [UInt8] { path.isEmpty ? Array(root.utf8) : Array("\(root)/".utf8) + path }

    /// All names, in an order that does not depend on the file system.
    private func items() -> [Item] {
        var found = [Item(path: part, kind: S_IFDIR)]
        var next = 0
        while next < found.count {
            let directory = found[next]
            next += 1
            // Deep ones are made by themselves and left alone.
            guard directory.kind == S_IFDIR, directory.path.count < 800, let stream = cString(absolute(directory.path), opendir) else {
                continue
            }
            defer { closedir(stream) }
            var below: [Item] = []
            while let entry = readdir(stream) {
                let start = UnsafeRawPointer(entry) + (MemoryLayout<dirent>.offset(of: \dirent.d_name) ?? 0)
                let name = [UInt8](UnsafeRawBufferPointer(start: start, count: strlen(start.assumingMemoryBound(to: CChar.self))))
                if name == Array(".".utf8) || name == Array("..".utf8) { continue }
                let path = directory.path.isEmpty ? name : directory.path + [UInt8(ascii: "/")] + name
                var status = stat()
                if cString(absolute(path), { lstat($0, &status) }) == 0 { below.append(Item(path: path, kind: status.st_mode & S_IFMT)) }
            }
            found += below.sorted { $0.path.lexicographicallyPrecedes($1.path) }
        }
        return found
    }

    private mutating func change() {
        let all = items()
        let directories = all.filter { $0.kind == S_IFDIR }
        guard let parent = directories.randomElement(using: &random) else { return }
        let name = Self.names[below(Self.names.count)]
        let place = parent.path.isEmpty ? name : parent.path + [UInt8(ascii: "/")] + name
        let old = all.dropFirst().randomElement(using: &random) ?? Item(path: place, kind: 0)
        let file = all.filter { $0.kind == S_IFREG }.randomElement(using: &random)
        switch below(24) {
        case 0, 1: remove(old.path)
        case 2, 3:
            // In the place of whatever is there.
            remove(place)
            makeDirectory(place)
        case 4:
            remove(place)
            let target = below(3) == 0 ? Array("../../../etc/passwd".utf8) : old.path
            _ = cString(target) { target in cString(absolute(place)) { symlink(target, $0) } }
        case 5:
            remove(place)
            _ = cString(absolute(place)) { mkfifo($0, 0o640) }
        case 6, 7:
            guard let file else { return }
            remove(place)
            _ = cString(absolute(file.path)) { from in cString(absolute(place)) { link(from, $0) } }
        case 8, 9: move(old.path, to: place)
        case 10:
            // Emptied and filled again: overlayfs calls it opaque.
            guard let directory = directories.dropFirst().randomElement(using: &random) else { return }
            let before = all.filter { $0.path.starts(with: directory.path + [UInt8(ascii: "/")]) }
            remove(directory.path)
            makeDirectory(directory.path)
            if let again = before.randomElement(using: &random) { write(again.path) }
        case 11:
            if let file, file.path != place { duplicate(file.path, as: place) }
        case 12: if let file { overwrite(file.path, keepingSizeAndTime: true) }
        case 13, 14: if let file { overwrite(file.path, keepingSizeAndTime: false) }
        case 15: if let file { _ = cString(absolute(file.path)) { truncate($0, off_t(below(3000))) } }
        case 16: chmodAny(old)
        case 17: _ = cString(absolute(old.path)) { lchown($0, uid_t(below(3) * 1000), gid_t(below(3) * 7)) }
        case 18: setTime(old.path)
        case 19: setAttribute(old)
        case 20: makeSparse(place)
        default: write(place)
        }
    }

    /// A second file that is the same in every respect but the name.
    private func duplicate(_ from: [UInt8], as place: [UInt8]) {
        remove(place)
        let source = cString(absolute(from)) { open($0, O_RDONLY | O_NOFOLLOW | O_CLOEXEC) }
        guard source >= 0 else { return }
        defer { close(source) }
        let target = cString(absolute(place)) { open($0, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600) }
        guard target >= 0 else { return }
        defer { close(target) }
        var status = stat()
        fstat(source, &status)
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while case let count = read(source, &buffer, buffer.count), count > 0 { _ = Glibc.write(target, buffer, count) }
        fchown(target, status.st_uid, status.st_gid)
        fchmod(target, status.st_mode & 0o7777)
        futimens(target, [status.st_atim, status.st_mtim])
    }

    private func remove(_ path: [UInt8]) {
        guard path != part else { return }
        if cString(absolute(path), { unlink($0) }) == 0 { return }
        guard errno == EISDIR, let stream = cString(absolute(path), opendir) else { return }
        var names: [[UInt8]] = []
        while let entry = readdir(stream) {
            let start = UnsafeRawPointer(entry) + (MemoryLayout<dirent>.offset(of: \dirent.d_name) ?? 0)
            let name = [UInt8](UnsafeRawBufferPointer(start: start, count: strlen(start.assumingMemoryBound(to: CChar.self))))
            if name != Array(".".utf8), name != Array("..".utf8) { names.append(name) }
        }
        closedir(stream)
        for name in names { remove(path + [UInt8(ascii: "/")] + name) }
        _ = cString(absolute(path)) { rmdir($0) }
    }

    private mutating func makeDirectory(_ path: [UInt8]) {
        let modes: [mode_t] = [0o755, 0o700, 0o1777, 0o2755, 0o000]
        let mode = modes[below(modes.count)]
        cString(absolute(path)) { path in
            mkdir(path, 0o755)
            chmod(path, mode)
        }
    }

    private mutating func write(_ path: [UInt8]) {
        remove(path)
        let sizes = [0, 1, 100, 4096, 20_000, 70_000]
        let content = below(4) == 0 ? [UInt8](repeating: 0x78, count: sizes[below(sizes.count)]) : bytes(sizes[below(sizes.count)])
        let modes: [mode_t] = [0o644, 0o755, 0o4755, 0o2711, 0o000, 0o444]
        let mode = modes[below(modes.count)]
        let file = cString(absolute(path)) { open($0, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600) }
        guard file >= 0 else { return }
        _ = content.withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
        fchmod(file, mode)
        close(file)
    }

    private mutating func makeSparse(_ path: [UInt8]) {
        remove(path)
        let file = cString(absolute(path)) { open($0, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600) }
        guard file >= 0 else { return }
        // Data in the middle, at an end or nowhere; whole blocks, since a hole is one or more of them.
        let place = off_t(below(3)) << 22
        if below(4) > 0 { _ = bytes(4096).withUnsafeBytes { pwrite(file, $0.baseAddress, $0.count, place) } }
        ftruncate(file, 12 << 20)
        close(file)
    }

    private mutating func overwrite(_ path: [UInt8], keepingSizeAndTime: Bool) {
        var status = stat()
        guard cString(absolute(path), { stat($0, &status) }) == 0 else { return }
        let file = cString(absolute(path)) { open($0, O_WRONLY | O_CLOEXEC) }
        guard file >= 0 else { return }
        let limit = keepingSizeAndTime ? Int(status.st_size) : Int(status.st_size) + 100
        if limit > 0 {
            let start = below(limit)
            let part = bytes(min(limit - start, 1 + below(50)))
            _ = part.withUnsafeBytes { pwrite(file, $0.baseAddress, $0.count, off_t(start)) }
        }
        close(file)
        if keepingSizeAndTime {
            var times = [status.st_atim, status.st_mtim]
            _ = cString(absolute(path)) { utimensat(AT_FDCWD, $0, &times, 0) }
        }
    }

    private mutating func chmodAny(_ item: Item) {
        let mode = mode_t(below(0o10000))
        if item.kind != S_IFLNK, item.kind != 0 { _ = cString(absolute(item.path)) { chmod($0, mode) } }
    }

    private mutating func setTime(_ path: [UInt8]) {
        let seconds =
            below(2) == 0 ? Int.random(in: -2_000_000_000...(-1), using: &random) : Int.random(in: 0...4_000_000_000, using: &random)
        var times = [timespec(tv_sec: 0, tv_nsec: 0), timespec(tv_sec: seconds, tv_nsec: below(1_000_000_000))]
        _ = cString(absolute(path)) { utimensat(AT_FDCWD, $0, &times, AT_SYMLINK_NOFOLLOW) }
    }

    private mutating func setAttribute(_ item: Item) {
        let value = bytes(below(40) + 1)
        let kind = below(5)
        cString(absolute(item.path)) { path in
            switch (kind, item.kind) {
            case (0, S_IFREG), (0, S_IFDIR): _ = clinux_lsetxattr(path, "user.note", value, value.count, 0)
            case (1, S_IFREG), (1, S_IFDIR): _ = clinux_lremovexattr(path, "user.note")
            case (2, S_IFREG):
                // cap_net_raw=ep, as revision 2 of the kernel's format.
                let capability: [UInt8] = [1, 0, 0, 2, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
                _ = clinux_lsetxattr(path, "security.capability", capability, capability.count, 0)
            case (3, S_IFDIR):
                _ = clinux_lsetxattr(path, "system.posix_acl_default", Self.accessList, Self.accessList.count, 0)
            case (_, S_IFREG), (_, S_IFDIR), (_, S_IFIFO):
                _ = clinux_lsetxattr(path, "system.posix_acl_access", Self.accessList, Self.accessList.count, 0)
            default: break
            }
        }
    }

    /// u::rw-, u:1000:rwx, g::r--, m::rwx, o::--- in the kernel's form: version 2, then tag, permissions and id of each.
    static let accessList: [UInt8] =
        [2, 0, 0, 0]
        + [(1, 6, UInt32.max), (2, 7, 1000), (4, 4, .max), (16, 7, .max), (32, 0, .max)].flatMap {
            (tag: UInt8, permissions: UInt8, id: UInt32) in
            [tag, 0, permissions, 0] + (0..<4).map { UInt8(truncatingIfNeeded: id >> (8 * $0)) }
        }

    private func move(_ from: [UInt8], to place: [UInt8]) {
        guard from != part, !place.starts(with: from + [UInt8(ascii: "/")]), place != from, !from.starts(with: place + [UInt8(ascii: "/")])
        else { return }
        remove(place)
        let status = cString(absolute(from)) { from in cString(absolute(place)) { rename(from, $0) } }
        guard status != 0, errno == EXDEV else { return }
        // As mv does it: overlayfs does not move a directory of a generation below.
        copy(from, to: place)
        remove(from)
    }

    private func copy(_ from: [UInt8], to place: [UInt8]) {
        var status = stat()
        guard cString(absolute(from), { lstat($0, &status) }) == 0 else { return }
        switch status.st_mode & S_IFMT {
        case S_IFDIR:
            _ = cString(absolute(place)) { mkdir($0, 0o700) }
            guard let stream = cString(absolute(from), opendir) else { return }
            defer { closedir(stream) }
            while let entry = readdir(stream) {
                let start = UnsafeRawPointer(entry) + (MemoryLayout<dirent>.offset(of: \dirent.d_name) ?? 0)
                let name = [UInt8](UnsafeRawBufferPointer(start: start, count: strlen(start.assumingMemoryBound(to: CChar.self))))
                if name == Array(".".utf8) || name == Array("..".utf8) { continue }
                copy(from + [UInt8(ascii: "/")] + name, to: place + [UInt8(ascii: "/")] + name)
            }
        default: _ = cString(absolute(from)) { from in cString(absolute(place)) { rename(from, $0) } }
        }
        if status.st_mode & S_IFMT != S_IFLNK { _ = cString(absolute(place)) { chmod($0, status.st_mode & 0o7777) } }
        var times = [status.st_atim, status.st_mtim]
        _ = cString(absolute(place)) { utimensat(AT_FDCWD, $0, &times, AT_SYMLINK_NOFOLLOW) }
    }
}
