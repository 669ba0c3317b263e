/// What becomes of mappings and imports whose destinations lie in each other: the outer one leaves out what belongs to the inner one.
///
/// Two imports may overlap: they are made one after the other. Two mappings of the same files have no order, so that they are an error.
enum Overlap {
    /// Mappings and imports of an image; more are refused, since each is compared with each other.
    static let maximumExports = 100
    /// Include and exclude paths of all of them; more are refused for the same reason.
    static let maximumPaths = 500

    private struct Export {
        var destination: String
        var includes: [String]
        var excludes: [String]
        let line: Int
        let isImport: Bool

        /// The includes as paths from the image's root; the destination itself where there are none.
        var includedPaths: [String] {
            if includes.isEmpty { return destination == "/" ? [] : [Overlap.join(destination, "")] }
            return includes.map { Overlap.join(destination, $0) }
        }
    }

    static func resolve(_ git: inout [GitDirective], _ imports: inout [ImportDirective], section: Section) throws(WerfError) {
        var exports =
            git.map { Export(destination: $0.destination, includes: $0.includes, excludes: $0.excludes, line: $0.line, isImport: false) }
            + imports.map { item in
                let isFolder = item.destination.utf8.last == UInt8(ascii: "/") && item.destination != "/"
                return Export(
                    destination: isFolder ? String(item.destination.dropLast()) : item.destination, includes: item.includes,
                    excludes: item.excludes, line: item.line, isImport: true)
            }
        let paths = exports.reduce(0) { $0 + $1.includes.count + $1.excludes.count }
        guard exports.count <= maximumExports, paths <= maximumPaths else {
            throw WerfError(
                file: section.file, line: section.line,
                message: "image: it has \(exports.count) mappings and imports with \(paths) include and exclude paths: expected at most "
                    + "\(maximumExports) with \(maximumPaths)")
        }
        for outer in exports.indices {
            for inner in exports.indices where inner != outer && !(exports[outer].isImport && exports[inner].isImport) {
                try leaveOut(exports[inner], of: &exports[outer], section: section)
            }
        }
        for index in git.indices { git[index].excludes = exports[index].excludes }
        for index in imports.indices { imports[index].excludes = exports[git.count + index].excludes }
    }

    private static func leaveOut(_ inner: Export, of outer: inout Export, section: Section) throws(WerfError) {
        guard isAbove(outer.destination, inner.destination) else { return }
        let kept = outer.includedPaths
        let conflict = WerfError(
            file: section.file, line: max(inner.line, outer.line),
            message: "git: the files of this entry and of the one in line \(min(inner.line, outer.line)) meet in \(inner.destination): "
                + "expected other destinations, or includePaths that part them")
        guard !kept.isEmpty || !inner.includedPaths.isEmpty else { throw conflict }
        for path in inner.includedPaths {
            if kept.contains(path) { throw conflict }
            if kept.contains(where: { isAbove(path, $0) }) { continue }
            if outer.excludes.contains(where: { isAbove(join(outer.destination, $0), path) }) { continue }
            let prefix = outer.destination == "/" ? "" : join(outer.destination, "") + "/"
            guard path.utf8.starts(with: prefix.utf8) else { continue }
            outer.excludes.append(String(decoding: path.utf8.dropFirst(prefix.utf8.count), as: UTF8.self))
        }
    }

    private static func isAbove(_ above: String, _ path: String) -> Bool {
        above == "/" || path.utf8.elementsEqual(above.utf8) || path.utf8.starts(with: (above + "/").utf8)
    }

    /// Without the slash in front.
    private static func join(_ destination: String, _ path: String) -> String {
        let folder = String(destination.dropFirst())
        if path.isEmpty { return folder }
        return folder.isEmpty ? path : folder + "/" + path
    }
}
