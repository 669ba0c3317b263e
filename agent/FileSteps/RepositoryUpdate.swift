import BlockingIO
import BuildPlan
import Digests
import FileTree
import Glibc

/// Brings the repository's files in an image from one commit to another: werf's gitArchive and gitLatestPatch, and what comes before the
/// commands of its other stages.
///
/// Only what differs is touched, by the repository's word alone: a file that a command has changed or removed meanwhile is written as the
/// repository has it if it differs between the two commits, and whatever stands in its way goes. A file that the repository has no more
/// is removed, and with it the directories below the mapping's destination that become empty by that. Directories that are made are
/// 0755 and of the mapping's owner. Files have the times of the context; directories that are there keep theirs, so that the result depends
/// on no clock.
public struct RepositoryUpdate {
    /// Of a mapping without an owner, and of the half that it does not name.
    private static let defaultOwner = Owner.root
    private static let directoryMode: UInt16 = 0o755

    private let mappings: [GitMapping]
    private let reader: any TreeReader
    private let old: Digest?
    private let new: Digest
    private let interruption: Interruption?

    /// - Parameters:
    ///   - reader: has the directories of the mappings in both trees.
    ///   - old: the root as of which the files are there; nil where there are none.
    ///   - new: the root as of which they shall be there.
    public init(
        _ mappings: [GitMapping], reader: any TreeReader, from old: Digest?, to new: Digest, interruption: Interruption? = nil
    ) {
        self.interruption = interruption
        self.mappings = mappings
        self.reader = reader
        self.old = old
        self.new = new
    }

    /// Writes the difference into a new layer. Blocks.
    ///
    /// - Parameters:
    ///   - target: ``CopyTarget/layer(below:upper:)`` with an upper that is empty.
    ///   - linksFiles: true where nothing changes the layer afterwards, so that files of earlier layers may be linked.
    public func run(target: CopyTarget, contents: any ContentProvider, linksFiles: Bool) throws -> CopyResult {
        let open = try OpenTarget(target)
        let differences = try mappings.map { try TreeDifference(of: $0.selection, reader: reader, from: old, to: new) }
        guard differences.contains(where: { !$0.isEmpty }) else { return CopyResult() }
        var plan = CopyPlan(resolver: open.resolver, owner: Self.defaultOwner, replaces: true)
        plan.keepsTimes = true
        let newest = differences.flatMap(\.written).map(\.entry.modified).max() ?? 0
        let places = try mappings.map { try Destination($0, open.resolver) }
        for (index, difference) in differences.enumerated() where !difference.written.isEmpty {
            let owner = try mappings[index].owner.map { try OwnerResolver(resolver: open.resolver).owner($0) }
            let applied = owner?.applied(to: Self.defaultOwner) ?? Self.defaultOwner
            plan.created = Metadata(owner: applied, mode: Self.directoryMode, modified: newest)
            for file in difference.written {
                let path = try places[index].path(file.path)
                try plan.addDirectories(CopyPlan.parent(path))
                try plan.add(file.entry, at: path, owner: applied, mode: nil)
            }
        }
        try planRemovals(differences, places, open, &plan)
        var writer = try CopyWriter(
            target: open, input: .context(reader: reader, root: new, contents: contents), linksFiles: linksFiles, interruption: interruption
        )
        try writer.write(plan)
        return writer.result
    }

    private func planRemovals(
        _ differences: [TreeDifference], _ places: [Destination], _ target: OpenTarget, _ plan: inout CopyPlan
    ) throws {
        var gone: Set<[UInt8]> = []
        var candidates: Set<[UInt8]> = []
        for (index, difference) in differences.enumerated() {
            for removed in difference.removed {
                let path = try places[index].path(removed)
                guard !plan.hasDirectory(path), try !isWanted(path, places) else { continue }
                let above = places[index].directories(above: path)
                guard !plan.hasFile(path), !above.contains(where: { plan.hasFile($0) }) else { continue }
                // A directory of a command's in its place is none of the repository's.
                guard let status = try target.status(path), status.kind != .directory else { continue }
                gone.insert(path)
                candidates.formUnion(above)
            }
        }
        for directory in candidates.sorted(by: { $0.count > $1.count })
        where !plan.putsSomething(in: directory) && !plan.hasFile(directory) {
            guard try target.status(directory)?.kind == .directory else { continue }
            let names = try DirectoryListing.names(in: target.resolver.open(directory, flags: O_RDONLY | O_DIRECTORY))
            if names.allSatisfy({ gone.contains(joined(directory, $0)) }) { gone.insert(directory) }
        }
        for path in gone.sorted(by: precedes) where !gone.contains(CopyPlan.parent(path)) {
            try plan.addDirectories(CopyPlan.parent(path))
            try plan.add(PlannedFile(path: path, content: .whiteout, metadata: plan.created))
        }
    }

    // Two mappings may give one file: it stays as long as one of them does.
    private func isWanted(_ path: [UInt8], _ places: [Destination]) throws -> Bool {
        guard mappings.count > 1 else { return false }
        for (mapping, place) in zip(mappings, places) {
            if let relative = place.relative(path),
                try TreeDifference.hasFile(relative, in: mapping.selection, reader: reader, root: new)
            {
                return true
            }
        }
        return false
    }
}

/// Where a mapping's files go in the image. Links on the way to the destination are followed, those in it are not.
private struct Destination {
    private let directory: [UInt8]
    private let file: [UInt8]

    init(_ mapping: GitMapping, _ resolver: RootResolver) throws {
        let path = Array(mapping.destination.utf8)
        do {
            directory = try resolver.resolve(path).path
            file = try resolver.resolve(path, followLast: false).path
        } catch FileTreeError.notDirectory {
            throw FileStepError.notDirectory(path: Array(path.drop { $0 == UInt8(ascii: "/") }))
        }
    }

    /// The place of a file of the mapping; the mapping may be a file itself.
    func path(_ relative: [UInt8]) throws -> [UInt8] {
        if !relative.isEmpty { return joined(directory, relative) }
        guard !file.isEmpty else { throw FileStepError.replacesDirectory(path: []) }
        return file
    }

    /// The reverse; nil for what is not in it.
    func relative(_ path: [UInt8]) -> [UInt8]? {
        if path == file { return [] }
        if directory.isEmpty { return path }
        guard path.starts(with: directory + [UInt8(ascii: "/")]) else { return nil }
        return Array(path.dropFirst(directory.count + 1))
    }

    /// The directories between the destination and a path in it, neither of them included.
    func directories(above path: [UInt8]) -> [[UInt8]] {
        var found: [[UInt8]] = []
        var parent = CopyPlan.parent(path)
        while parent.count > directory.count {
            found.append(parent)
            parent = CopyPlan.parent(parent)
        }
        return found
    }
}

extension OpenTarget {
    /// What is there; nil also below something that is no directory, or a link.
    fileprivate func status(_ path: [UInt8]) throws -> FileStatus? {
        do {
            return try resolver.status(path)
        } catch FileTreeError.system(_, _, let code) where code == ENOTDIR || code == ELOOP {
            return nil
        }
    }
}
