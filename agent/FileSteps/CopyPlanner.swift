import BuildPlan
import FileTree

/// Decides what each source of a COPY becomes in the target.
struct CopyPlanner {
    private let copy: CopyOperation
    private let target: OpenTarget
    private let owner: OwnerChange?
    private let rules: PathRules
    private var plan: CopyPlan
    private var resolvedDestination: [UInt8]?

    /// - Parameter owner: `--chown`'s.
    init(copy: CopyOperation, target: OpenTarget, owner: OwnerChange?) throws {
        self.copy = copy
        self.target = target
        self.owner = owner
        rules = try PathRules(excludes: copy.excludes, filter: copy.filter)
        plan = CopyPlan(resolver: target.resolver, owner: Self.applied(owner))
    }

    /// What was planned so far; the next plan begins anew.
    mutating func takePlan() -> CopyPlan {
        defer { plan = CopyPlan(resolver: target.resolver, owner: Self.applied(owner)) }
        return plan
    }

    private static func applied(_ owner: OwnerChange?) -> Owner { owner?.applied(to: .root) ?? .root }

    // MARK: Sources

    /// A heredoc.
    mutating func add(inline file: InlineFile, mode: UInt16) throws {
        let name = components(of: file.path.utf8).last ?? Array(file.path.utf8)
        let metadata = Metadata(owner: Self.applied(owner), mode: mode, modified: nil)
        try plan.add(PlannedFile(path: try place(ofFile: name), content: .bytes(Array(file.content.utf8)), metadata: metadata))
    }

    /// A source in a context.
    mutating func add(_ match: SelectedEntry, of selector: TreeSelector) throws {
        guard match.entry.isDirectory else {
            guard !selector.kept([match], rules: rules).isEmpty else { return }
            try plan.add(match.entry, at: try place(ofFile: match.name), owner: Self.applied(owner), mode: copy.mode)
            return
        }
        let base = try destinationDirectory()
        try selector.walk(match, rules: rules) { path, entry in
            if !path.isEmpty { try plan.add(entry, at: joined(base, path), owner: Self.applied(owner), mode: copy.mode) }
        }
    }

    /// A source in a mounted root.
    mutating func add(_ match: RootMatch, of resolver: RootResolver, selector: RootSelector) throws {
        let isDirectory = match.status.kind == .directory
        guard isDirectory || !selector.kept([match], rules: rules).isEmpty else { return }
        let base = try isDirectory ? destinationDirectory() : place(ofFile: match.name)
        for entry in try resolver.entries(at: match.place, rules: isDirectory ? rules : PathRules()) {
            if entry.path.isEmpty, isDirectory { continue }
            try add(entry, at: joined(base, entry.path), from: joined(match.place, entry.path))
        }
    }

    private mutating func add(_ entry: RootEntry, at path: [UInt8], from source: [UInt8]) throws {
        let status = entry.status
        let own = Owner(uid: status.uid, gid: status.gid)
        let metadata = Metadata(
            owner: owner?.applied(to: own) ?? own, mode: copy.mode ?? status.mode, modified: status.modified,
            attributes: entry.attributes)
        let content: PlannedFile.Content
        switch status.kind {
        case .directory:
            try plan.addDirectory(path, metadata: metadata)
            return
        case .file:
            let identity = status.links > 1 ? FileIdentity(device: status.device, inode: status.inode) : nil
            content = .source(source, identity: identity)
        case .symlink: content = .symlink(target: entry.target)
        case .fifo: content = .fifo
        case .characterDevice, .blockDevice: content = .device(status.kind, status.representedDevice)
        case .socket: return
        }
        try plan.add(PlannedFile(path: path, content: content, metadata: metadata))
    }

    // MARK: The destination

    private mutating func destination() throws -> [UInt8] {
        if let resolvedDestination { return resolvedDestination }
        let path = Array(copy.destination.utf8)
        do {
            let place = try target.resolver.resolve(path).path
            resolvedDestination = place
            return place
        } catch FileTreeError.notDirectory {
            throw FileStepError.notDirectory(path: Array(path.drop { $0 == UInt8(ascii: "/") }))
        }
    }

    private var endsInSlash: Bool { copy.destination.utf8.last == UInt8(ascii: "/") }

    /// The destination, planned as a directory.
    mutating func destinationDirectory() throws -> [UInt8] {
        let path = try destination()
        if try plan.occupant(of: path) == .other { throw FileStepError.replacesFile(path: path) }
        try plan.addDirectories(path)
        return path
    }

    private mutating func place(ofFile name: [UInt8]) throws -> [UInt8] {
        let path = try destination()
        switch try plan.occupant(of: path) {
        case .other where endsInSlash: throw FileStepError.notDirectory(path: path)
        case .nothing where !endsInSlash, .other:
            try plan.addDirectories(CopyPlan.parent(path))
            return path
        case .directory, .nothing:
            try plan.addDirectories(path)
            return joined(path, name)
        }
    }
}
