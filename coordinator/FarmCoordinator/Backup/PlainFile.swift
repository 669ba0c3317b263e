import Digests
import Glibc

/// A regular file of a backup: looked at, copied, hashed. Everything here blocks.
enum PlainFile {
    private static let chunk = 1 << 20

    /// Size and permissions; nil where there is none. Throws for what is no regular file: a link would lead elsewhere.
    static func status(_ path: String) throws -> (size: Int64, mode: mode_t)? {
        var info = stat()
        guard lstat(path, &info) == 0 else {
            if errno == ENOENT || errno == ENOTDIR { return nil }
            throw SetupError.failed("look at", path, errno)
        }
        guard info.st_mode & S_IFMT == S_IFREG else { throw BackupError.failed("\(path) is no regular file") }
        return (Int64(info.st_size), info.st_mode & 0o777)
    }

    /// The digest of what is in it.
    static func digest(of path: String) throws -> Digest { try copy(path, to: nil).digest }

    /// Copies it into a new file and makes that durable; hashes on the way.
    static func copy(_ path: String, to target: String?, mode: mode_t = 0o600) throws -> (digest: Digest, size: Int64) {
        let source = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard source >= 0 else { throw SetupError.failed("read", path, errno) }
        defer { close(source) }
        var output: Int32 = -1
        if let target {
            output = open(target, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode)
            guard output >= 0 else { throw SetupError.failed("create", target, errno) }
        }
        defer { if output >= 0 { close(output) } }
        var hasher = SHA256Hasher()
        var size: Int64 = 0
        var buffer = [UInt8](repeating: 0, count: chunk)
        while true {
            let count = read(source, &buffer, buffer.count)
            if count == 0 { break }
            if count < 0 {
                if errno == EINTR { continue }
                throw SetupError.failed("read", path, errno)
            }
            buffer.withUnsafeBytes { hasher.update(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
            size += Int64(count)
            if let target { try write(buffer[..<count], to: output, target) }
        }
        if let target {
            // The umask has had its say; the mode is what was asked for.
            guard fchmod(output, mode) == 0, fsync(output) == 0 else { throw SetupError.failed("write", target, errno) }
        }
        return (hasher.finalize(), size)
    }

    private static func write(_ bytes: ArraySlice<UInt8>, to file: Int32, _ path: String) throws {
        var rest = bytes
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
            if count < 0 {
                if errno == EINTR { continue }
                throw SetupError.failed("write", path, errno)
            }
            rest = rest.dropFirst(count)
        }
    }

    /// The same file under another name where both are on one file system, else a copy. For files that nobody ever changes.
    static func linkOrCopy(_ path: String, to target: String) throws {
        if link(path, target) == 0 { return }
        guard errno == EXDEV || errno == EPERM || errno == EMLINK || errno == ENOTSUP else { throw SetupError.failed("link", path, errno) }
        _ = try copy(path, to: target)
    }

    /// All regular files below a directory, relative to it; nothing where it is missing.
    static func files(below directory: String) throws -> [String] {
        guard access(directory, F_OK) == 0 else { return [] }
        return try FileAccess.names(in: directory).sorted().flatMap { name -> [String] in
            var info = stat()
            guard lstat("\(directory)/\(name)", &info) == 0 else { return [] }
            switch info.st_mode & S_IFMT {
            case S_IFREG: return [name]
            case S_IFDIR: return try files(below: "\(directory)/\(name)").map { "\(name)/\($0)" }
            default: return []
            }
        }
    }
}
