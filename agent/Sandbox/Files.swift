import CLinux
import Glibc

/// The few file operations that the sandbox needs, with errors that name the path.
enum Files {
    static func makeDirectory(_ path: String, mode: mode_t = 0o755) throws(SandboxError) {
        if mkdir(path, mode) != 0, errno != EEXIST { throw .system(action: "create", path: path, error: errno) }
    }

    static func exists(_ path: String) -> Bool {
        var found = stat()
        return lstat(path, &found) == 0
    }

    /// Follows symbolic links.
    static func isDirectory(_ path: String) -> Bool {
        var found = stat()
        return stat(path, &found) == 0 && found.st_mode & S_IFMT == S_IFDIR
    }

    static func write(_ bytes: [UInt8], to path: String, mode: mode_t = 0o644) throws(SandboxError) {
        let file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode)
        guard file >= 0 else { throw .system(action: "create", path: path, error: errno) }
        defer { close(file) }
        fchmod(file, mode)
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
            if count < 0 {
                if errno == EINTR { continue }
                throw .system(action: "write", path: path, error: errno)
            }
            rest = rest.dropFirst(count)
        }
    }

    /// The content of a regular file; nil where there is none. A larger one is an error: nothing that is read so has reason to be.
    static func read(_ path: String, limit: Int) throws(SandboxError) -> [UInt8]? {
        // Not blocking: an image may have put a FIFO there.
        let file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
        guard file >= 0 else {
            if errno == ENOENT || errno == ENOTDIR { return nil }
            throw .system(action: "open", path: path, error: errno)
        }
        defer { close(file) }
        var found = stat()
        guard fstat(file, &found) == 0, found.st_mode & S_IFMT == S_IFREG else {
            throw .system(action: "read", path: path, error: EINVAL)
        }
        guard found.st_size <= limit else { throw .system(action: "read", path: path, error: EFBIG) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: min(limit, 64 << 10) + 1)
        while true {
            let count = buffer.withUnsafeMutableBytes { Glibc.read(file, $0.baseAddress, $0.count) }
            if count < 0 {
                if errno == EINTR { continue }
                throw .system(action: "read", path: path, error: errno)
            }
            if count == 0 { return bytes }
            bytes += buffer[..<count]
            guard bytes.count <= limit else { throw .system(action: "read", path: path, error: EFBIG) }
        }
    }

    static func names(in directory: String) -> [String] {
        guard let handle = opendir(directory) else { return [] }
        defer { closedir(handle) }
        var names: [String] = []
        while let entry = readdir(handle) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: Int(NAME_MAX) + 1) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names
    }

    /// Removes a tree without following symbolic links; what can't be removed stays.
    static func removeTree(_ path: String) { clinux_remove_tree(path) }
}

/// A directory for what exists during one step only.
public struct WorkFolder: Sendable {
    /// Absolute if its parent's is.
    public let path: String

    /// Makes a new directory. Blocking.
    public init(_ path: String) throws(SandboxError) {
        guard mkdir(path, 0o700) == 0 else { throw .system(action: "create", path: path, error: errno) }
        self.path = path
    }

    /// Makes a directory in it.
    public func directory(_ name: String) throws(SandboxError) -> String {
        let path = self.path + "/" + name
        try Files.makeDirectory(path)
        return path
    }

    /// Removes it with everything in it, but for what is on other file systems. Blocking.
    public func remove() { Files.removeTree(path) }

    /// Removes everything in a directory. Blocking.
    public static func empty(_ path: String) {
        for name in Files.names(in: path) { Files.removeTree(path + "/" + name) }
    }
}
