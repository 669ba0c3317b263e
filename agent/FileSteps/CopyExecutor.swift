import BlockingIO
import BuildPlan
import Digests
import FileTree
import Glibc
import OCI

/// The tree that COPY or ADD reads.
public enum CopyInput {
    /// A context. The reader has all objects that the operation's inputs need.
    case context(reader: any TreeReader, root: Digest, contents: any ContentProvider)
    /// Another stage or an image, mounted.
    case root(path: String)
    /// None: all sources stand in the Dockerfile.
    case none
}

/// What COPY or ADD did.
public struct CopyResult: Sendable {
    /// Files of the context as they are in the new layer: content and path relative to the root. For finding their contents again.
    public var contents: [(digest: Digest, path: [UInt8])] = []
    /// Files that are links of files in earlier layers.
    public var linkedFiles = 0
    /// Bytes of contents that were fetched.
    public var fetchedBytes: UInt64 = 0

    public init() {}
}

/// Does what COPY and ADD say, as BuildKit does. Blocks.
///
/// A file goes into the destination if that is a directory or ends in `/`, else it becomes the destination. Of a directory the contents
/// are copied. What is made on the way is 0755 and of `--chown`'s owner or root's. Directories are merged, and take over mode, owner and time
/// below the destination; a file replaces a file or link, never a directory, and a directory replaces nothing else. The destination's
/// links are followed within the root, those of a source's own path too; links inside a source are copied. Files of the context are
/// root's and keep mode and time; those of a stage keep owners and attributes too. After an error the target has to be thrown away.
public struct CopyExecutor {
    private static let inlineMode: UInt16 = 0o644

    private let target: CopyTarget
    private let scratch: String
    private let interruption: Interruption?

    /// - Parameters:
    ///   - target: where to write.
    ///   - scratch: a directory that is there, for archives while they are looked at.
    ///   - interruption: ends the work early, by `CancellationError`.
    public init(target: CopyTarget, scratch: String, interruption: Interruption? = nil) {
        self.target = target
        self.scratch = scratch
        self.interruption = interruption
    }

    /// Carries out the operation.
    public func run(_ copy: CopyOperation, from input: CopyInput) throws -> CopyResult {
        let open = try OpenTarget(target)
        let owner = try copy.owner.map { try OwnerResolver(resolver: open.resolver).owner($0) }
        var copying = Copying(
            copy: copy, owner: owner, target: open, planner: try CopyPlanner(copy: copy, target: open, owner: owner),
            writer: try CopyWriter(target: open, input: input, interruption: interruption), scratch: Array(scratch.utf8))
        defer { copying.removeScratchFiles() }
        // An archive that is left out is not unpacked either, and its content need not be here.
        let rules = try PathRules(excludes: copy.excludes, filter: copy.filter)
        func part(_ path: String) -> TreeSelection {
            TreeSelection(source: copy.from, path: path, wildcards: copy.filter == nil, excludes: copy.excludes, filter: copy.filter)
        }
        for source in copy.sources {
            switch (source, input) {
            case (.inline(let file), _): try copying.planner.add(inline: file, mode: copy.mode ?? Self.inlineMode)
            case (.tree, .none): throw FileStepError.noSource
            case (.tree(let path), .context(let reader, let root, let contents)):
                let selector = TreeSelector(reader: reader, root: root)
                for match in selector.kept(try selector.select(part(path)), rules: rules) {
                    try copying.add(match, of: selector, contents)
                }
            case (.tree(let path), .root(let rootPath)):
                let root = try FileDescriptor(Array(rootPath.utf8), flags: O_RDONLY | O_DIRECTORY)
                let selector = RootSelector(root: root)
                for match in selector.kept(try selector.select(part(path)), rules: rules) {
                    try copying.add(match, of: selector, RootResolver(root: root))
                }
            }
        }
        try copying.writePlan()
        return copying.writer.result
    }
}

/// A COPY or ADD on its way: what was planned, and what had to be written already because an archive was unpacked after it.
private struct Copying {
    let copy: CopyOperation
    let owner: OwnerChange?
    let target: OpenTarget
    var planner: CopyPlanner
    var writer: CopyWriter
    let scratch: [UInt8]
    private(set) var scratchFiles: [[UInt8]] = []

    init(copy: CopyOperation, owner: OwnerChange?, target: OpenTarget, planner: CopyPlanner, writer: CopyWriter, scratch: [UInt8]) {
        self.copy = copy
        self.owner = owner
        self.target = target
        self.planner = planner
        self.writer = writer
        self.scratch = scratch
    }

    mutating func writePlan() throws { try writer.write(planner.takePlan()) }

    mutating func add(_ match: SelectedEntry, of selector: TreeSelector, _ contents: any ContentProvider) throws {
        if copy.unpacksArchives, case .file(let digest, _) = match.entry.content,
            try unpackIfArchive(try contentFile(digest, contents), named: match.name)
        {
            return
        }
        try planner.add(match, of: selector)
    }

    mutating func add(_ match: RootMatch, of selector: RootSelector, _ resolver: RootResolver) throws {
        if copy.unpacksArchives, match.status.kind == .file,
            try unpackIfArchive(try resolver.open(match.place, flags: O_RDONLY | O_NONBLOCK), named: match.name)
        {
            return
        }
        try planner.add(match, of: resolver, selector: selector)
    }

    private mutating func unpackIfArchive(_ file: FileDescriptor, named name: [UInt8]) throws -> Bool {
        guard try LayerArchive.isArchive(file.number) else { return false }
        guard !target.isLayer else { throw FileStepError.archiveNeedsMount(name: name) }
        let place = try planner.destinationDirectory()
        try writePlan()
        let directory = try target.open(place, flags: O_RDONLY | O_DIRECTORY)
        let extracted: ExtractedOwner = owner.map { $0.applied(to: .root) }.map { .fixed(uid: $0.uid, gid: $0.gid) } ?? .archive
        try LayerArchive.unpack(from: file, intoRoot: directory.number, owner: extracted, devices: .create)
        return true
    }

    // An archive is known by its content only, and is read twice: what has to be fetched for that lies in the scratch directory meanwhile.
    private mutating func contentFile(_ digest: Digest, _ contents: any ContentProvider) throws -> FileDescriptor {
        if let known = writer.ownFiles[digest] { return try FileDescriptor(known) }
        if let local = contents.localFile(digest), let file = try? FileDescriptor(local, flags: O_RDONLY | O_NOFOLLOW) { return file }
        let path = joined(scratch, Array("added-\(scratchFiles.count)".utf8))
        scratchFiles.append(path)
        let file = try FileDescriptor(path, flags: O_RDWR | O_CREAT | O_TRUNC)
        try Self.receive(digest, from: try contents.fetch([digest]), into: file)
        writer.ownFiles[digest] = path
        return file
    }

    private static func receive(_ digest: Digest, from source: some ByteSource, into file: FileDescriptor) throws {
        let reader = ContentPackReader(source)
        var found = false
        while let header = try reader.next() {
            guard header.digest == digest, !found else { continue }
            found = true
            try reader.content { try file.write($0) }
        }
        guard found else { throw FileStepError.contentsMissing(count: 1) }
    }

    func removeScratchFiles() {
        for path in scratchFiles { _ = withPath(path) { unlink($0) } }
    }
}
