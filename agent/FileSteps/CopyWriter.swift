import BlockingIO
import Digests
import FileTree
import Glibc

/// Carries plans of one COPY out.
struct CopyWriter {
    private(set) var result = CopyResult()
    /// Contents that lie in files of the step's own.
    var ownFiles: [Digest: [UInt8]] = [:]

    private let target: OpenTarget
    private let writer: TreeWriter
    private let provider: (any ContentProvider)?
    private let source: RootResolver?
    private let linksFiles: Bool
    private let interruption: Interruption?
    /// Files of earlier layers that have a name in this one: a second name would make them links of each other in the image.
    private var linked: Set<FileIdentity> = []
    /// First names of files of the source that have several.
    private var firstNames: [FileIdentity: [UInt8]] = [:]

    /// - Parameter linksFiles: false where what is made may be changed afterwards: it must not be a file of an earlier layer then.
    init(target: OpenTarget, input: CopyInput, linksFiles: Bool = true, interruption: Interruption? = nil) throws {
        self.target = target
        self.linksFiles = linksFiles
        self.interruption = interruption
        writer = TreeWriter(target: target, interruption: interruption)
        switch input {
        case .context(_, _, let contents):
            provider = contents
            source = nil
        case .root(let path):
            provider = nil
            source = try RootResolver(path: Array(path.utf8))
        case .none:
            provider = nil
            source = nil
        }
    }

    mutating func write(_ plan: CopyPlan) throws {
        let directories = neededDirectories(plan)
        for directory in directories { try writer.makeDirectory(directory) }
        var wanted: [Digest: [PlannedFile]] = [:]
        for file in plan.files {
            try interruption?.check()
            switch file.content {
            case .symlink, .fifo, .device: try writer.makeNode(file)
            case .whiteout: try writer.makeWhiteout(file.path)
            case .bytes(let bytes):
                let made = try writer.create(file.path)
                try made.write(bytes)
                try writer.finish(made, file.metadata)
            case .source(let path, let identity): try copySource(path, identity, to: file)
            case .content(let digest, let size):
                result.contents.append((digest, file.path))
                if try !takeLocal(digest, size, file) { wanted[digest, default: []].append(file) }
            }
        }
        if !wanted.isEmpty {
            guard let provider else { throw FileStepError.noSource }
            try receive(try provider.fetch(Set(wanted.keys)), wanted)
        }
        for directory in directories.reversed() {
            if let modified = directory.metadata?.modified {
                try writer.setTime(of: directory.path, to: modified)
            } else if let existing = directory.existing, target.isLayer, plan.keepsTimes || !directory.gainsEntries, !directory.path.isEmpty
            {
                try writer.setTime(of: directory.path, to: existing.modified)
            }
        }
    }

    // In a new layer only directories that something happens to, and those above them.
    private func neededDirectories(_ plan: CopyPlan) -> [PlannedDirectory] {
        guard target.isLayer else { return plan.directories }
        var needed: Set<[UInt8]> = []
        for directory in plan.directories.reversed()
        where directory.metadata != nil || directory.gainsEntries || directory.isOpaque || needed.contains(directory.path) {
            needed.insert(directory.path)
            needed.insert(CopyPlan.parent(directory.path))
        }
        return plan.directories.filter { needed.contains($0.path) }
    }

    private func copy(_ content: FileDescriptor, to file: PlannedFile) throws {
        let made = try writer.create(file.path)
        try writer.copy(content, to: made)
        try writer.finish(made, file.metadata)
    }

    private mutating func copySource(_ path: [UInt8], _ identity: FileIdentity?, to file: PlannedFile) throws {
        guard let source else { throw FileStepError.noSource }
        if let identity, let first = firstNames[identity] {
            try writer.linkWithin(first, to: file.path)
            return
        }
        try copy(source.open(path, flags: O_RDONLY | O_NONBLOCK), to: file)
        if let identity { firstNames[identity] = file.path }
    }

    // MARK: Contents of a context

    // False where the content is not on this disk.
    private mutating func takeLocal(_ digest: Digest, _ size: UInt64, _ file: PlannedFile) throws -> Bool {
        if let own = ownFiles[digest] {
            try copy(FileDescriptor(own, flags: O_RDONLY | O_NOFOLLOW), to: file)
            return true
        }
        guard let local = provider?.localFile(digest), let status = try? FileStatus.of(local), status.kind == .file,
            status.size == Int64(clamping: size)
        else { return false }
        let metadata = file.metadata
        let isEqual =
            status.mode == metadata.mode && status.uid == metadata.owner.uid && status.gid == metadata.owner.gid
            && status.modified == metadata.modified
        // docs/decisions: a file of an earlier layer is the same file here if everything about it is the same.
        if linksFiles, target.isLayer, isEqual, linked.insert(FileIdentity(device: status.device, inode: status.inode)).inserted,
            try writer.link(local, to: file.path)
        {
            result.linkedFiles += 1
            return true
        }
        guard let content = try? FileDescriptor(local, flags: O_RDONLY | O_NOFOLLOW), try content.status().size == status.size else {
            return false
        }
        try copy(content, to: file)
        return true
    }

    private mutating func receive(_ pack: some ByteSource, _ files: [Digest: [PlannedFile]]) throws {
        var wanted = files
        let reader = ContentPackReader(pack)
        while let header = try reader.next() {
            try interruption?.check()
            guard let files = wanted.removeValue(forKey: header.digest), let first = files.first else {
                try reader.skip()
                continue
            }
            let made = try writer.create(first.path)
            try reader.content { try made.write($0) }
            result.fetchedBytes += header.size
            for other in files.dropFirst() {
                lseek(made.number, 0, SEEK_SET)
                try copy(made, to: other)
            }
            try writer.finish(made, first.metadata)
        }
        guard wanted.isEmpty else { throw FileStepError.contentsMissing(count: wanted.count) }
    }
}
