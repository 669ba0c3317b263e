import Glibc

/// Small text files that are replaced as a whole. Blocking.
enum PEMFile {
    /// A chain of a dozen certificates; more is no PEM file of ours.
    static let sizeLimit = 1 << 20

    static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    static func read(_ path: String) throws -> String {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure(path) }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var part = [UInt8](repeating: 0, count: 16 << 10)
        while true {
            let count = Glibc.read(descriptor, &part, part.count)
            if count < 0 {
                if errno == EINTR { continue }
                throw failure(path)
            }
            if count == 0 { break }
            bytes += part[..<count]
            guard bytes.count <= sizeLimit else { throw CertificateError.file(path, reason: "is larger than \(sizeLimit) bytes") }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Writes beside, syncs, renames: a reader sees the old or the new text. A secret is never readable by others, not even at first.
    static func write(_ text: String, to path: String, secret: Bool) throws {
        let beside = "\(path).\(getpid()).\(UInt32.random(in: 0...UInt32.max))"
        let descriptor = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, secret ? 0o600 : 0o644)
        guard descriptor >= 0 else { throw failure(path) }
        do {
            defer { close(descriptor) }
            let bytes = Array(text.utf8)
            var written = 0
            while written < bytes.count {
                let count = bytes[written...].withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
                if count < 0 {
                    if errno == EINTR { continue }
                    throw failure(path)
                }
                written += count
            }
            guard fsync(descriptor) == 0 else { throw failure(path) }
        } catch {
            unlink(beside)
            throw error
        }
        guard rename(beside, path) == 0 else {
            let error = failure(path)
            unlink(beside)
            throw error
        }
    }

    private static func failure(_ path: String) -> CertificateError { .file(path, reason: String(cString: strerror(errno))) }
}
