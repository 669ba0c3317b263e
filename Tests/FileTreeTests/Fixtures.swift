import FileTree
import Glibc

/// A directory for one test, removed with everything in it when the last reference goes.
final class Scratch: Sendable {
    let path: [UInt8]

    init() {
        var template = Array("/tmp/farm-filetree-XXXXXX".utf8CString)
        _ = mkdtemp(&template)
        path = template.dropLast().map { UInt8(bitPattern: $0) }
    }

    deinit { Self.remove(path) }

    func at(_ name: String) -> [UInt8] { joined(path, Array(name.utf8)) }

    static func remove(_ path: [UInt8]) {
        if let directory = try? FileDescriptor(path, flags: O_RDONLY | O_DIRECTORY | O_NOFOLLOW) {
            try? DirectoryListing.forEach(in: directory) { name, _ in remove(joined(path, name)) }
            _ = withPath(path) { rmdir($0) }
        } else {
            _ = withPath(path) { unlink($0) }
        }
    }

    @discardableResult
    func directory(_ name: String, mode: mode_t = 0o755) throws -> [UInt8] {
        var made = path
        for component in name.split(separator: "/") {
            made = joined(made, Array(component.utf8))
            _ = withPath(made) { mkdir($0, 0o755) }
        }
        _ = withPath(made) { chmod($0, mode) }
        return made
    }

    func file(_ name: String, _ content: String = "", mode: mode_t = 0o644) throws {
        try file(Array(name.utf8), Array(content.utf8), mode: mode)
    }

    func file(_ name: [UInt8], _ content: [UInt8], mode: mode_t = 0o644) throws {
        if let slash = name.lastIndex(of: UInt8(ascii: "/")) { try directory(String(decoding: name[..<slash], as: UTF8.self)) }
        let path = joined(path, name)
        try FileDescriptor(path, flags: O_WRONLY | O_CREAT | O_TRUNC).write(content)
        _ = withPath(path) { chmod($0, mode) }
    }

    func link(_ name: String, to target: String) throws {
        if let slash = name.lastIndex(of: "/") { try directory(String(name[..<slash])) }
        guard symlink(target, String(decoding: at(name), as: UTF8.self)) == 0 else { throw FileTreeError.notFound(path: name) }
    }

    /// Sets the times of a file long enough ago for the index to trust them, if the clock allows: mtime only.
    func age(_ name: String, seconds: Int) {
        var times = [timespec(), timespec()]
        clock_gettime(CLOCK_REALTIME, &times[0])
        times[0].tv_sec -= seconds
        times[1] = times[0]
        _ = withPath(at(name)) { utimensat(AT_FDCWD, $0, times, AT_SYMLINK_NOFOLLOW) }
    }
}

/// Random numbers that are the same in each run (SplitMix64).
struct Seeded: RandomNumberGenerator {
    private var state: UInt64
    init(_ seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
