import Glibc

/// Files that are read as a whole.
enum SmallFile {
    /// nil where there is no such file. Blocks; a named pipe is not waited for.
    ///
    /// - Parameters:
    ///   - limit: more bytes are refused.
    ///   - truncates: true to give the first bytes of what is larger.
    static func read(_ file: String, limit: Int, truncates: Bool = false) throws(ClientError) -> [UInt8]? {
        let descriptor = open(file, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
        if descriptor < 0, errno == ENOENT { return nil }
        guard descriptor >= 0 else { throw .usage("\(file) can't be read: \(String(cString: strerror(errno)))") }
        defer { close(descriptor) }
        var status = stat()
        let isFile = fstat(descriptor, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
        // What a shell gives for `<(…)` is a pipe, which has its writer already.
        guard isFile || file.hasPrefix("/dev/fd/") || file.hasPrefix("/proc/self/fd/") else {
            throw .usage("\(file) can't be read: it is \(status.st_mode & S_IFMT == S_IFDIR ? "a folder" : "no regular file")")
        }
        _ = fcntl(descriptor, F_SETFL, 0)
        return try read(descriptor, file, limit: limit, truncates: truncates)
    }

    /// To the end of a descriptor.
    static func read(_ descriptor: Int32, _ name: String, limit: Int, truncates: Bool = false) throws(ClientError) -> [UInt8] {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw .usage("\(name) can't be read: \(String(cString: strerror(errno)))") }
            if count == 0 { return bytes }
            bytes += buffer[..<count]
            guard bytes.count > limit else { continue }
            if truncates { return Array(bytes.prefix(limit)) }
            throw .usage("\(name) has more than \(limit) bytes: too many for such a file")
        }
    }
}
