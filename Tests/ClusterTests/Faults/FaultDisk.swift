import Glibc
import Testing

/// A file system in memory that a test can fill.
struct FaultDisk: Sendable {
    let path: String
    private var ballast: String { "\(path)/ballast" }

    init(at path: String, megabytes: Int) throws {
        self.path = path
        try #require(
            mount("tmpfs", path, "tmpfs", 0, "size=\(megabytes)m,mode=755") == 0, "no disk at \(path): \(String(cString: strerror(errno)))")
    }

    /// Takes all that is left but so many bytes.
    func fill(leaving bytes: Int) {
        let descriptor = open(ballast, O_CREAT | O_WRONLY | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        var info = statvfs()
        guard fstatvfs(descriptor, &info) == 0 else { return }
        let free = Int(info.f_bavail * info.f_frsize)
        if free > bytes { _ = posix_fallocate(descriptor, 0, off_t(free - bytes)) }
    }

    /// Gives it back.
    func empty() { unlink(ballast) }

    func remove() { umount2(path, Int32(MNT_DETACH)) }
}
