import FileTree

/// WORKDIR: makes a directory with those above it where it is not there; 0755 and root's.
public enum DirectoryStep {
    /// - Parameter path: absolute; links are followed within the root. Blocks.
    /// - Returns: false if it was there already, so that the step changes nothing.
    /// - Throws: ``FileStepError/notDirectory(path:)`` where something else is in the way.
    @discardableResult
    public static func run(path: String, target: CopyTarget) throws -> Bool {
        let open = try OpenTarget(target)
        let place: RootResolver.Place
        do {
            place = try open.resolver.resolve(Array(path.utf8))
        } catch FileTreeError.notDirectory {
            throw FileStepError.notDirectory(path: Array(path.utf8.drop { $0 == UInt8(ascii: "/") }))
        }
        if let status = place.status {
            guard status.kind == .directory else { throw FileStepError.notDirectory(path: place.path) }
            return false
        }
        var plan = CopyPlan(resolver: open.resolver, owner: .root)
        try plan.addDirectories(place.path)
        var writer = try CopyWriter(target: open, input: .none)
        try writer.write(plan)
        return true
    }
}
