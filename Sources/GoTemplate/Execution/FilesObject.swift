/// `.Files`: the files of the project that the context shows.
struct FilesObject {
    private let machine: Machine

    init(_ machine: Machine) { self.machine = machine }

    /// `Get path`, `Glob pattern`, `Exists path`, `IsDir path`.
    func call(_ method: String, _ arguments: [Value]) throws -> Value {
        guard ["Get", "Glob", "Exists", "IsDir"].contains(method) else {
            throw Complaint("can't evaluate field \(method) in type config.files: Get, Glob, Exists and IsDir are there")
        }
        guard arguments.count == 1 else { throw Complaint("wrong number of args for \(method): want 1 got \(arguments.count)") }
        guard case .text(let argument) = arguments[0] else {
            throw Complaint("wrong type for value; expected string; got \(arguments[0].typeName)")
        }
        do {
            switch method {
            case "Get": return .text(try contents(of: argument))
            case "Glob": return try glob(argument)
            case "Exists": return .bool(try exists(argument))
            default: return .bool(try isDirectory(argument))
            }
        } catch let complaint as Complaint {
            throw complaint.isLimit ? complaint : Complaint("error calling \(method): \(complaint.message)")
        }
    }

    private func paths() throws -> [String] {
        if let known = machine.knownPaths { return known }
        let paths = try Self.asking { try machine.context.paths() }
        try machine.spend(paths.count / 8)
        machine.knownPaths = paths
        return paths
    }

    private func contents(of path: Bytes) throws -> Bytes {
        let name = Self.relative(path)
        guard try paths().contains(name) else {
            throw Complaint("there is no file \(Quoting.quoted(path).string) in the project")
        }
        return try read(name)
    }

    private func read(_ name: String) throws -> Bytes {
        let bytes = try Self.asking { try machine.context.contents(name) }
        try machine.allocate(bytes.count)
        return bytes
    }

    private func exists(_ path: Bytes) throws -> Bool {
        let name = Self.relative(path)
        if try paths().contains(name) { return true }
        return try isDirectory(path)
    }

    private func isDirectory(_ path: Bytes) throws -> Bool {
        let name = Self.relative(path)
        let folder = name == "." ? "" : name + "/"
        return try paths().contains { $0.utf8.starts(with: folder.utf8) }
    }

    private func glob(_ pattern: Bytes) throws -> Value {
        let matcher = try PathPattern(Self.relative(pattern))
        let map = try machine.makeMap()
        for path in try paths() where try matcher.matches(path, machine) {
            try machine.set(map, Array(path.utf8), .text(try read(path)))
        }
        guard map.count > 0 else { throw Complaint("{{ .Files.Glob \(Quoting.quoted(pattern).string) }}: no matches found") }
        return .map(map)
    }

    /// `./a//b` and `/a/b` are `a/b` of the project; what leads out of it is in no list of paths.
    private static func relative(_ path: Bytes) -> String { PathText.clean(Array(path.drop { $0 == UInt8(ascii: "/") })).string }

    static func asking<Result>(_ body: () throws -> Result) throws -> Result {
        do { return try body() } catch { throw Complaint("\(error)") }
    }
}
