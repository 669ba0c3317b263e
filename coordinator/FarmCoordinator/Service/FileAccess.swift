import BlockingIO
import Glibc

/// Small files whole, made durable. Everything here blocks.
enum FileAccess {
    /// The most that is read of a file that must be small.
    static let limit = 16 << 20

    /// The file's bytes; nil when there is none.
    static func read(_ path: String) throws(SetupError) -> [UInt8]? {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else {
            if errno == ENOENT { return nil }
            throw .failed("read", path, errno)
        }
        defer { close(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = Glibc.read(file, &chunk, chunk.count)
            if count == 0 { return bytes }
            if count < 0 {
                if errno == EINTR { continue }
                throw .failed("read", path, errno)
            }
            guard bytes.count + count <= limit else { throw .failed("read", path, EFBIG) }
            bytes += chunk[..<count]
        }
    }

    /// Writes a new file; throws ``SetupError/exists(_:)`` rather than overwrite one.
    static func create(_ path: String, with bytes: [UInt8], mode: mode_t) throws(SetupError) {
        let file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode)
        guard file >= 0 else {
            if errno == EEXIST { throw .exists(path) }
            throw .failed("create", path, errno)
        }
        defer { close(file) }
        try writeAll(bytes[...], to: file, path)
        guard fsync(file) == 0 else { throw .failed("write", path, errno) }
    }

    /// Writes the file aside and puts it in place at once.
    static func replace(_ path: String, with bytes: [UInt8], mode: mode_t) throws(SetupError) {
        let aside = "\(path).\(getpid()).new"
        unlink(aside)
        try create(aside, with: bytes, mode: mode)
        guard Glibc.rename(aside, path) == 0 else {
            let code = errno
            unlink(aside)
            throw .failed("replace", path, code)
        }
    }

    /// Makes a directory and those above it, as far as they are not there.
    static func makeDirectories(_ path: String, mode: mode_t) throws(SetupError) {
        var made = path.hasPrefix("/") ? "/" : ""
        for part in path.split(separator: "/") {
            made += (made.isEmpty || made == "/" ? "" : "/") + part
            if mkdir(made, mode) != 0, errno != EEXIST { throw .failed("make directory", made, errno) }
        }
    }

    /// Writes what a source gives into a new file.
    static func write(_ source: any ByteSource, to path: String) throws {
        let file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw SetupError.failed("create", path, errno) }
        defer { close(file) }
        var buffer = [UInt8](repeating: 0, count: 256 << 10)
        while true {
            let count = try buffer.withUnsafeMutableBytes { try source.read(into: $0) }
            if count == 0 { return }
            try writeAll(buffer[..<count], to: file, path)
        }
    }

    /// Moves a file over whatever has the name.
    static func rename(_ path: String, to target: String) throws(SetupError) {
        guard Glibc.rename(path, target) == 0 else { throw .failed("rename", path, errno) }
    }

    /// Makes a file's content, or a directory's names, durable.
    static func synchronize(_ path: String) throws(SetupError) {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw .failed("open", path, errno) }
        defer { close(file) }
        guard fsync(file) == 0 else { throw .failed("synchronize", path, errno) }
    }

    /// The names in a directory.
    static func names(in directory: String) throws(SetupError) -> [String] {
        guard let stream = opendir(directory) else { throw .failed("read", directory, errno) }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: Int(NAME_MAX) + 1) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names
    }

    /// Removes a file, or a directory of the farm's own and what is in it. No error when there is none.
    static func removeTree(_ path: String) throws(SetupError) {
        if unlink(path) == 0 || errno == ENOENT { return }
        guard errno == EISDIR || errno == EPERM else { throw .failed("remove", path, errno) }
        for name in try names(in: path) { try removeTree("\(path)/\(name)") }
        guard rmdir(path) == 0 || errno == ENOENT else { throw .failed("remove", path, errno) }
    }

    private static func writeAll(_ bytes: ArraySlice<UInt8>, to file: Int32, _ path: String) throws(SetupError) {
        var rest = bytes
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
            if count < 0 {
                if errno == EINTR { continue }
                throw .failed("write", path, errno)
            }
            rest = rest.dropFirst(count)
        }
    }
}
