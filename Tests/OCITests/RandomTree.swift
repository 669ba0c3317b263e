import CLinux
import Glibc

/// A generator with a seed, so that a failure can be seen again (SplitMix64).
struct Seeded: RandomNumberGenerator {
    private var state: UInt64
    init(_ seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}

/// Makes a random layer directory: every kind of entry, awkward names, owners, times and attributes.
struct RandomTree {
    private var random: Seeded
    private var files: [(directory: Int32, name: [UInt8])] = []
    private let overlay: Bool
    private var open: [Int32] = []

    init(seed: UInt64, overlay: Bool) {
        random = Seeded(seed)
        self.overlay = overlay
    }

    mutating func make(in path: String) throws {
        guard mkdir(path, 0o755) == 0, chmod(path, 0o755) == 0 else { throw Failure("mkdir \(path): \(errno)") }
        let root = Glibc.open(path, O_RDONLY | O_DIRECTORY)
        open.append(root)
        defer { for descriptor in open { close(descriptor) } }
        try fill(root, depth: 0)
        if Bool.random(using: &random) { attributes(root) }
    }

    private mutating func fill(_ directory: Int32, depth: Int) throws {
        for _ in 0..<Int.random(in: 0...(depth == 0 ? 20 : 8), using: &random) {
            let name = self.name()
            let done: Bool
            switch Int.random(in: 0..<12, using: &random) {
            case 0...4: done = file(directory, name)
            case 5...7:
                done = cString(name) { mkdirat(directory, $0, 0o755) } == 0
                if done {
                    let child = cString(name) { openat(directory, $0, O_RDONLY | O_DIRECTORY) }
                    open.append(child)
                    if depth < 5 { try fill(child, depth: depth + 1) }
                    attributes(child)
                    if overlay, Int.random(in: 0..<4, using: &random) == 0 {
                        _ = clinux_fsetxattr(child, "trusted.overlay.opaque", "y", 1, 0)
                    }
                }
                continue
            case 8:
                let target = (0..<Int.random(in: 1...180, using: &random)).map { _ in UInt8.random(in: 1...255, using: &random) }
                done = cString(target) { target in cString(name) { symlinkat(target, directory, $0) } } == 0
            case 9:
                guard let (from, old) = files.randomElement(using: &random) else { continue }
                _ = cString(old) { old in cString(name) { linkat(from, old, directory, $0, 0) } }
                continue
            case 10: done = cString(name) { mkfifoat(directory, $0, 0o644) } == 0
            default:
                let device = overlay && Bool.random(using: &random) ? 0 : clinux_makedev(UInt32.random(in: 1...4000, using: &random), 300)
                _ = cString(name) { clinux_mknodat(directory, $0, S_IFCHR | 0o640, device) }
                continue
            }
            guard done else { continue }
            cString(name) { name in
                _ = fchownat(directory, name, owner(), owner(), AT_SYMLINK_NOFOLLOW)
                var times = [time(), time()]
                utimensat(directory, name, &times, AT_SYMLINK_NOFOLLOW)
            }
        }
    }

    private mutating func file(_ directory: Int32, _ name: [UInt8]) -> Bool {
        let descriptor = cString(name) { openat(directory, $0, O_WRONLY | O_CREAT | O_EXCL, 0o600) }
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        let sizes = [0, 1, 511, 512, 513, 10_000, 300_000]
        let content = [UInt8](repeating: UInt8.random(in: 0...255, using: &random), count: sizes.randomElement(using: &random) ?? 0)
        _ = write(descriptor, content, content.count)
        attributes(descriptor)
        files.append((directory, name))
        return true
    }

    private mutating func attributes(_ descriptor: Int32) {
        _ = fchown(descriptor, owner(), owner())
        fchmod(descriptor, UInt32.random(in: 0...0o7777, using: &random))
        for _ in 0..<Int.random(in: -3...3, using: &random).magnitude where Bool.random(using: &random) {
            let name =
                ["user.a", "user.ü", "user.long.name.of.an.attribute", "security.farm", "trusted.farm"].randomElement(using: &random) ?? ""
            let value = (0..<Int.random(in: 0...200, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) }
            _ = clinux_fsetxattr(descriptor, name, value, value.count, 0)
        }
        var times = [time(), time()]
        futimens(descriptor, &times)
    }

    private mutating func owner() -> UInt32 { [0, 0, 1000, 2_097_151, 2_097_152, 4_000_000_000].randomElement(using: &random) ?? 0 }

    private mutating func time() -> timespec {
        let seconds = [0, 1, 1_700_000_000, Int.random(in: -100...4_000_000_000, using: &random)].randomElement(using: &random) ?? 0
        return timespec(tv_sec: seconds, tv_nsec: [0, 1, 120_000_000, 999_999_999].randomElement(using: &random) ?? 0)
    }

    private mutating func name() -> [UInt8] {
        let length = [1, 2, 3, 8, 60, 99, 100, 101, 255].randomElement(using: &random) ?? 1
        switch Int.random(in: 0..<4, using: &random) {
        // NFC, NFD and a byte that is not UTF-8: names are bytes.
        case 0: return Array(["ü", "u\u{308}", "日本語", "-", "a b", "a\nb", "=", "*", "\\"].randomElement(using: &random)?.utf8 ?? "x".utf8)
        case 1:
            return (0..<length).map { _ in
                [UInt8.random(in: 1...46, using: &random), UInt8.random(in: 48...255, using: &random)].randomElement(using: &random) ?? 65
            }
        default: return (0..<length).map { _ in UInt8.random(in: 97...122, using: &random) }
        }
    }
}

func cString<R>(_ bytes: [UInt8], _ body: (UnsafePointer<CChar>) -> R) -> R {
    (bytes.map { CChar(bitPattern: $0) } + [0]).withUnsafeBufferPointer { buffer in
        guard let base = buffer.baseAddress else { preconditionFailure("the buffer has a NUL at least") }
        return body(base)
    }
}
