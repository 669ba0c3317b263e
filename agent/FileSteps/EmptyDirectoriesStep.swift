import BuildPlan
import FileTree
import Glibc

/// werf's `from` with mounts: makes directories empty, or makes them where they are not there; 0755 and root's.
public enum EmptyDirectoriesStep {
    /// - Parameters:
    ///   - paths: absolute; links are followed within the root. Something that is no directory stays as it is.
    ///   - target: ``CopyTarget/layer(below:upper:)``. Blocks.
    public static func run(paths: [String], target: CopyTarget) throws {
        let open = try OpenTarget(target)
        var plan = CopyPlan(resolver: open.resolver, owner: .root)
        var emptied: [[UInt8]] = []
        // What lies in another one comes after it.
        for path in Set(paths.map { CleanPath.clean($0) }).sorted() {
            let place: RootResolver.Place
            do {
                place = try open.resolver.resolve(Array(path.utf8))
            } catch FileTreeError.notDirectory {
                throw FileStepError.notDirectory(path: Array(path.utf8.drop { $0 == UInt8(ascii: "/") }))
            }
            guard let status = place.status, !emptied.contains(where: { isBelow(place.path, $0) }) else {
                try plan.addDirectories(place.path)
                continue
            }
            guard status.kind == .directory, !place.path.isEmpty, try !isEmpty(place.path, open) else { continue }
            try plan.addDirectories(place.path)
            plan.makeOpaque(place.path)
            emptied.append(place.path)
        }
        var writer = try CopyWriter(target: open, input: .none)
        try writer.write(plan)
    }

    private static func isBelow(_ path: [UInt8], _ directory: [UInt8]) -> Bool { path.starts(with: directory + [UInt8(ascii: "/")]) }

    private static func isEmpty(_ path: [UInt8], _ target: OpenTarget) throws -> Bool {
        try DirectoryListing.names(in: target.resolver.open(path, flags: O_RDONLY | O_DIRECTORY)).isEmpty
    }
}
