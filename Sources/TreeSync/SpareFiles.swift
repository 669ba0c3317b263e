import CLinux
import Digests
import Glibc

/// Private copies of the large files of a volume's newest generation, made while nobody waits.
///
/// A generation's files are never changed, so that a new version of a large file is a copy of the old one with some blocks written over, and
/// where the file system has no reflinks that copy takes seconds. With a spare it was made before: the spare gets the blocks and
/// becomes the new version, and the old one stays what it is. A spare is named by its ``ContentDigest``; one that is missing costs time only.
public final class SpareFiles: Sendable {
    /// A spare is made only where afterwards so many times its size is still free.
    private static let roomFactor: UInt64 = 4
    private static let copyPortion = 32 << 20
    private static let asidePrefix = "tmp-"
    /// Seconds after which nobody writes any more into what lies aside: the rest of a crash.
    private static let asideGrace = 600

    private let directory: String
    private let smallest: UInt64
    private let reserve: Double

    /// - Parameters:
    ///   - directory: on the file system of the volume; is made when something is put into it.
    ///   - smallest: files of fewer bytes get none.
    ///   - reserve: the share of the disk that stays free, 0 to 1.
    public init(directory: String, smallest: UInt64 = 64 << 20, reserve: Double = 0) {
        self.directory = directory
        self.smallest = smallest
        self.reserve = reserve
    }

    private func path(_ digest: Digest) -> String { "\(directory)/\(digest.hex)" }

    /// Whether there is one.
    func contains(_ digest: Digest) -> Bool { access(path(digest), F_OK) == 0 }

    /// Takes a spare away, for the caller alone: its path; nil where there is none.
    func take(_ digest: Digest, size: UInt64) -> String? {
        var status = stat()
        guard lstat(path(digest), &status) == 0, status.st_mode & S_IFMT == S_IFREG, UInt64(status.st_size) == size, status.st_nlink == 1
        else { return nil }
        let aside = newPath()
        return rename(path(digest), aside) == 0 ? aside : nil
    }

    /// A copy by reflink, for the caller alone: its path; nil where the file system has none.
    func clone(of file: Descriptor) -> String? {
        guard mkdir(directory, 0o700) == 0 || errno == EEXIST else { return nil }
        let aside = newPath()
        guard let copy = try? Descriptor.open(aside, O_RDWR | O_CREAT | O_EXCL, mode: 0o600) else { return nil }
        if clinux_clone_file(file.number, copy.number) == 0 { return aside }
        unlink(aside)
        return nil
    }

    private func newPath() -> String { "\(directory)/\(Self.asidePrefix)\(UInt64.random(in: .min ... .max))" }

    /// A large file of a generation.
    public struct Wanted: Sendable {
        public var path: TreePath
        public var size: UInt64
        public var digest: Digest

        public init(path: TreePath, size: UInt64, digest: Digest) {
            self.path = path
            self.size = size
            self.digest = digest
        }
    }

    /// Makes the spares of a generation and removes those of others; an old one becomes a new one by the blocks in which they differ. Blocks,
    /// for long; one at a time for a volume.
    public func update(to wanted: [Wanted], files: GenerationFiles, lists: BlockLists) throws {
        let wanted = wanted.filter { $0.size >= smallest }
        var obsolete = try names().filter { name in !wanted.contains { $0.digest.hex == name } }
        for file in wanted where !contains(file.digest) {
            guard mkdir(directory, 0o700) == 0 || errno == EEXIST else {
                throw TreeSyncError.last("making directory", Array(directory.utf8))
            }
            guard hasRoom(for: file.size), let (source, status) = try files.open(file.path), UInt64(status.st_size) == file.size else {
                continue
            }
            let aside = newPath()
            do {
                if try !reuse(&obsolete, for: file, source, lists, aside) { try Self.copy(source, size: file.size, to: aside) }
                guard rename(aside, path(file.digest)) == 0 else { throw TreeSyncError.last("renaming", Array(aside.utf8)) }
            } catch {
                unlink(aside)
                throw error
            }
        }
        for name in obsolete { unlink("\(directory)/\(name)") }
    }

    private func names() throws -> [String] {
        guard let root = try? Descriptor.directory(directory) else { return [] }
        return try TreeReader.names(in: root, []).map { String(decoding: $0, as: UTF8.self) }.filter { name in
            guard name.hasPrefix(Self.asidePrefix) else { return true }
            // Somebody may be writing into it.
            var status = stat()
            return lstat("\(directory)/\(name)", &status) == 0 && status.st_mtim.tv_sec + Self.asideGrace < time(nil)
        }
    }

    private func hasRoom(for size: UInt64) -> Bool {
        var status = statvfs()
        guard statvfs(directory, &status) == 0 else { return false }
        let unit = UInt64(status.f_frsize)
        let free = UInt64(status.f_bavail) * unit
        return free / (Self.roomFactor + 1) >= size && Double(free - size) >= Double(UInt64(status.f_blocks) * unit) * reserve
    }

    /// Those that are there, with what they take on the disk and when they were last written to, in seconds. Not what is being made.
    public func all() -> [(path: String, bytes: Int64, made: Int)] {
        guard let root = try? Descriptor.directory(directory), let names = try? TreeReader.names(in: root, []) else { return [] }
        return names.compactMap { name in
            guard let name = String(validating: name, as: UTF8.self), Digest(hex: name) != nil else { return nil }
            var status = stat()
            guard lstat("\(directory)/\(name)", &status) == 0 else { return nil }
            return ("\(directory)/\(name)", Int64(status.st_blocks) * 512, status.st_mtim.tv_sec)
        }
    }

    /// Turns an older version's spare into this one's; false where none is alike.
    private func reuse(_ obsolete: inout [String], for file: Wanted, _ source: Descriptor, _ lists: BlockLists, _ aside: String) throws
        -> Bool
    {
        let new = FileContent(size: file.size, digest: file.digest)
        for name in obsolete {
            var status = stat()
            guard let digest = Digest(hex: name), lstat("\(directory)/\(name)", &status) == 0, status.st_size > 0,
                let runs = try lists.runs(old: FileContent(size: UInt64(status.st_size), digest: digest), new: new)
            else { continue }
            guard rename("\(directory)/\(name)", aside) == 0 else { continue }
            obsolete.removeAll { $0 == name }
            let target = try Descriptor.open(aside, O_WRONLY)
            guard ftruncate(target.number, off_t(clamping: file.size)) == 0 else { throw TreeSyncError.last("sizing", Array(aside.utf8)) }
            let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: Rsync.bufferSize, alignment: 16)
            defer { buffer.deallocate() }
            for gap in ContentRun.gaps(between: runs, size: file.size) {
                var position = gap.position
                while position < gap.end {
                    let part = UnsafeMutableRawBufferPointer(rebasing: buffer.prefix(Int(min(UInt64(buffer.count), gap.end - position))))
                    guard try source.readFully(at: position, into: part) else {
                        throw TreeSyncError.contentGone(path: TreePaths.text(file.path))
                    }
                    try target.writeFully(at: position, UnsafeRawBufferPointer(part))
                    position += UInt64(part.count)
                }
            }
            return true
        }
        return false
    }

    private static func copy(_ source: Descriptor, size: UInt64, to path: String) throws {
        let target = try Descriptor.open(path, O_WRONLY | O_CREAT | O_EXCL, mode: 0o600)
        if clinux_clone_file(source.number, target.number) == 0 { return }
        guard lseek(source.number, 0, SEEK_SET) == 0 else { throw TreeSyncError.last("reading", Array(path.utf8)) }
        var left = size
        while left > 0 {
            let count = clinux_copy_file_range(source.number, target.number, Int(min(left, UInt64(copyPortion))))
            guard count > 0 else { throw TreeSyncError.last("copying", Array(path.utf8)) }
            left -= UInt64(count)
        }
    }
}

extension Descriptor {
    /// Writes all of it at a place.
    func writeFully(at position: UInt64, _ bytes: UnsafeRawBufferPointer) throws {
        var done = 0
        while done < bytes.count {
            let count = pwrite(number, bytes.baseAddress.map { $0 + done }, bytes.count - done, off_t(clamping: position) + done)
            if count < 0 {
                if errno == EINTR { continue }
                throw TreeSyncError.last("writing", [])
            }
            done += count
        }
    }
}
