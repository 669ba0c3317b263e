import BlockingIO
import CLinux
import FileTree
import Glibc

/// Makes files and directories in a target. One thread at a time.
///
/// Everything is made relative to directories that were opened without following links, so that no link in the image leads anywhere else.
final class TreeWriter {
    /// Open directories: few enough for many steps at once within the usual 1,024 descriptors of a process.
    private static let cacheLimit = 64
    private static let bufferSize = 256 << 10
    /// Bytes that the kernel copies at a time: between two of them the work can be interrupted.
    private static let rangeSize = 64 << 20

    private let target: OpenTarget
    private var parents: [[UInt8]: FileDescriptor] = [:]
    private var buffer = [UInt8](repeating: 0, count: bufferSize)
    private var rangeCopyWorks = true

    private let interruption: Interruption?

    init(target: OpenTarget, interruption: Interruption? = nil) {
        self.target = target
        self.interruption = interruption
    }

    // MARK: Directories

    /// Makes a directory that is to be there, with its owner and mode; its time comes last, by ``setTime(of:to:)``.
    func makeDirectory(_ planned: PlannedDirectory) throws {
        let path = planned.path
        if !path.isEmpty {
            let (parent, name) = try parent(of: path)
            if withPath(name, { mkdirat(parent.number, $0, 0o700) }) != 0 {
                guard errno == EEXIST else { throw failure("make directory", path) }
            } else if let existing = planned.existing {
                // It is in a layer below: it appears here as it is there.
                let below = try target.resolver.belowUppermost(path)
                let metadata = Metadata(
                    owner: Owner(uid: existing.uid, gid: existing.gid), mode: existing.mode, modified: existing.modified,
                    attributes: try ExtendedAttributes.portable(of: below))
                try apply(metadata, to: try directory(path))
            }
        }
        if let metadata = planned.metadata { try apply(metadata, to: try directory(path)) }
        if planned.isOpaque { try makeOpaque(path) }
    }

    // What overlayfs itself sets on a directory of its upper that hides the one below.
    private func makeOpaque(_ path: [UInt8]) throws {
        let directory = try directory(path)
        let status = Array("y".utf8).withUnsafeBytes { value in
            clinux_fsetxattr(directory.number, "trusted.overlay.opaque", value.baseAddress, value.count, 0)
        }
        guard status == 0 else { throw failure("empty", path) }
    }

    /// Sets a directory's time after everything was put into it.
    func setTime(of path: [UInt8], to modified: Int64) throws {
        guard clinux_set_times(try directory(path).number, "", modified, modified) == 0 else { throw failure("set the time of", path) }
    }

    private func directory(_ path: [UInt8]) throws -> FileDescriptor {
        if let open = parents[path] { return open }
        if parents.count >= Self.cacheLimit { parents.removeAll(keepingCapacity: true) }
        let open = try target.open(path, flags: O_RDONLY | O_DIRECTORY)
        parents[path] = open
        return open
    }

    private func parent(of path: [UInt8]) throws -> (FileDescriptor, [UInt8]) {
        guard let slash = path.lastIndex(of: UInt8(ascii: "/")) else { return (target.writable, path) }
        return (try directory(Array(path[..<slash])), Array(path[(slash + 1)...]))
    }

    // MARK: Files

    /// Makes an empty file in place of any other file of that name; its metadata comes after its content, by ``finish(_:_:)``.
    func create(_ path: [UInt8]) throws -> FileDescriptor {
        let (parent, name) = try parent(of: path)
        let number = try replacing(path, parent, name, "create") { name in
            openat(parent.number, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        }
        return FileDescriptor(owning: number, path: path)
    }

    /// Gives a file its owner, mode, attributes and time.
    func finish(_ file: FileDescriptor, _ metadata: Metadata) throws {
        try apply(metadata, to: file)
        if let modified = metadata.modified, clinux_set_times(file.number, "", modified, modified) != 0 {
            throw failure("set the time of", file.path)
        }
    }

    /// Makes a symlink, fifo or device node in place of any other file of that name.
    func makeNode(_ planned: PlannedFile) throws {
        let (parent, name) = try parent(of: planned.path)
        switch planned.content {
        case .symlink(let link):
            _ = try replacing(planned.path, parent, name, "link") { name in withPath(link) { symlinkat($0, parent.number, name) } }
        case .fifo:
            _ = try replacing(planned.path, parent, name, "make") { clinux_mknodat(parent.number, $0, S_IFIFO | 0o600, 0) }
        case .device(let kind, let device):
            let type = kind == .blockDevice ? S_IFBLK : S_IFCHR
            _ = try replacing(planned.path, parent, name, "make") { clinux_mknodat(parent.number, $0, type | 0o600, device) }
        case .content, .bytes, .source, .whiteout: preconditionFailure("not a file with content")
        }
        let metadata = planned.metadata
        let isLink = if case .symlink = planned.content { true } else { false }
        try withPath(name) { name in
            guard fchownat(parent.number, name, metadata.owner.uid, metadata.owner.gid, AT_SYMLINK_NOFOLLOW) == 0,
                isLink || fchmodat(parent.number, name, mode_t(metadata.mode), 0) == 0
            else { throw failure("set the owner and mode of", planned.path) }
            if let modified = metadata.modified, clinux_set_times(parent.number, name, modified, modified) != 0 {
                throw failure("set the time of", planned.path)
            }
        }
    }

    /// Hides what the layers below have under the path, as overlayfs does it: by a character device without a number.
    func makeWhiteout(_ path: [UInt8]) throws {
        let (parent, name) = try parent(of: path)
        _ = try replacing(path, parent, name, "remove") { clinux_mknodat(parent.number, $0, S_IFCHR, 0) }
    }

    /// Gives a file of this disk another name in the target. False where that can't be: it has too many names, lies elsewhere, is gone.
    func link(_ existing: [UInt8], in directory: Int32 = AT_FDCWD, to path: [UInt8]) throws -> Bool {
        let (parent, name) = try parent(of: path)
        do {
            _ = try replacing(path, parent, name, "link") { name in
                withPath(existing) { linkat(directory, $0, parent.number, name, 0) }
            }
            return true
        } catch FileStepError.system(_, _, let code) where [EMLINK, EXDEV, EPERM, ENOENT].contains(code) {
            return false
        }
    }

    /// Gives a file that was made in the target another name there.
    func linkWithin(_ existing: [UInt8], to path: [UInt8]) throws {
        guard try link(existing, in: target.writable.number, to: path) else { throw failure("link", path) }
    }

    // Tries a call that makes a name; where there is a file of that name, that goes first.
    private func replacing(
        _ path: [UInt8], _ parent: FileDescriptor, _ name: [UInt8], _ operation: String, _ call: (UnsafePointer<CChar>) -> Int32
    ) throws -> Int32 {
        try withPath(name) { name in
            var status = call(name)
            if status < 0, errno == EEXIST {
                if unlinkat(parent.number, name, 0) != 0 {
                    throw errno == EISDIR ? FileStepError.replacesDirectory(path: path) : failure("replace", path)
                }
                status = call(name)
            }
            guard status >= 0 else { throw failure(operation, path) }
            return status
        }
    }

    // Owner first: it takes setuid bits and capabilities away.
    private func apply(_ metadata: Metadata, to file: FileDescriptor) throws {
        guard fchown(file.number, metadata.owner.uid, metadata.owner.gid) == 0, fchmod(file.number, mode_t(metadata.mode)) == 0 else {
            throw failure("set the owner and mode of", file.path)
        }
        for attribute in metadata.attributes {
            let status = withPath(attribute.name) { name in
                attribute.value.withUnsafeBytes { clinux_fsetxattr(file.number, name, $0.baseAddress, $0.count, 0) }
            }
            guard status == 0 else {
                throw failure("set attribute '\(String(decoding: attribute.name, as: UTF8.self))' of", file.path)
            }
        }
    }

    private func failure(_ operation: String, _ path: [UInt8]) -> FileStepError { .system(operation: operation, path: path, code: errno) }

    // MARK: Contents

    /// Copies a whole file, holes too, into an empty one.
    func copy(_ source: FileDescriptor, to file: FileDescriptor) throws {
        let status = try source.status()
        if status.blocks * 512 < status.size {
            try copySparse(source, size: status.size, to: file)
            return
        }
        // In the kernel where it can; between two file systems it can't.
        while rangeCopyWorks {
            try interruption?.check()
            let count = clinux_copy_file_range(source.number, file.number, Self.rangeSize)
            if count == 0 { return }
            if count > 0 { continue }
            if errno == EINTR { continue }
            guard [EXDEV, EINVAL, EOPNOTSUPP, ENOSYS].contains(errno) else { throw failure("copy", source.path) }
            rangeCopyWorks = false
        }
        try buffer.withUnsafeMutableBytes { buffer in
            while true {
                try interruption?.check()
                let count = try source.read(into: buffer)
                if count == 0 { return }
                try file.write(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
            }
        }
    }

    private func copySparse(_ source: FileDescriptor, size: Int64, to file: FileDescriptor) throws {
        guard ftruncate(file.number, off_t(size)) == 0 else { throw failure("write", file.path) }
        var position = off_t(0)
        while position < size {
            let data = lseek(source.number, position, CLINUX_SEEK_DATA)
            if data < 0 {
                guard errno == ENXIO else { throw failure("read", source.path) }
                return
            }
            var hole = lseek(source.number, data, CLINUX_SEEK_HOLE)
            if hole < 0 { hole = off_t(size) }
            guard lseek(file.number, data, SEEK_SET) >= 0 else { throw failure("write", file.path) }
            position = data
            try buffer.withUnsafeMutableBytes { buffer in
                while position < hole {
                    let wanted = UnsafeMutableRawBufferPointer(rebasing: buffer[..<min(buffer.count, Int(hole - position))])
                    let count = try source.read(into: wanted, at: Int64(position))
                    if count == 0 { throw FileTreeError.changedWhileRead(path: source.path) }
                    try file.write(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
                    position += off_t(count)
                }
            }
        }
    }
}
