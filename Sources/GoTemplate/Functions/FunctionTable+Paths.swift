extension FunctionTable {
    /// Sprig's functions on paths (Go's package path; Farm's machines are Linux, so that the `os…` forms are the same) and URLs.
    mutating func addPaths() {
        family = .paths
        add("base", "osBase", count: 1) { a in try a.make(PathText.base(try a.text(0))) }
        add("dir", "osDir", count: 1) { a in try a.make(PathText.directory(try a.text(0))) }
        add("clean", "osClean", count: 1) { a in try a.make(PathText.clean(try a.text(0))) }
        add("ext", "osExt", count: 1) { a in try a.make(PathText.fileExtension(try a.text(0))) }
        add("isAbs", "osIsAbs", count: 1) { a in .bool(try a.text(0).first == UInt8(ascii: "/")) }
        add("urlParse", count: 1) { a in try URLText(try a.text(0)).map(on: a.machine) }
        add("urlJoin", count: 1) { a in try a.make(try URLText.joined(try a.map(0), a)) }
    }
}

/// Paths as texts, by the rules of Go's package path.
enum PathText {
    private static let slash = UInt8(ascii: "/")

    /// The shortest path for the same: without `.`, `..` that can be resolved, and double slashes.
    static func clean(_ path: Bytes) -> Bytes {
        let isAbsolute = path.first == slash
        var names: [ArraySlice<UInt8>] = []
        for name in path.split(separator: slash) where !name.elementsEqual(Bytes(".")) {
            if !name.elementsEqual(Bytes("..")) {
                names.append(name)
            } else if let last = names.last, !last.elementsEqual(Bytes("..")) {
                names.removeLast()
            } else if !isAbsolute {
                names.append(name)
            }
        }
        let cleaned = (isAbsolute ? Bytes("/") : []) + names.joined(separator: Bytes("/"))
        return cleaned.isEmpty ? Bytes(".") : cleaned
    }

    static func base(_ path: Bytes) -> Bytes {
        if path.isEmpty { return Bytes(".") }
        return path.split(separator: slash).last.map { Array($0) } ?? Bytes("/")
    }

    static func directory(_ path: Bytes) -> Bytes { clean(Array(path[..<(path.lastIndex(of: slash).map { $0 + 1 } ?? 0)])) }

    static func fileExtension(_ path: Bytes) -> Bytes {
        let name = path[(path.lastIndex(of: slash).map { $0 + 1 } ?? 0)...]
        return name.lastIndex(of: UInt8(ascii: ".")).map { Array(name[$0...]) } ?? []
    }
}

/// The parts of a URL as sprig names them.
struct URLText {
    private var parts: [(name: String, value: Bytes)] = []

    /// Takes every text apart; no part is checked or decoded.
    init(_ text: Bytes) {
        var rest = text[...]
        func cut(_ byte: UInt8) -> Bytes {
            guard let index = rest.firstIndex(of: byte) else { return [] }
            defer { rest = rest[..<index] }
            return Array(rest[(index + 1)...])
        }
        let fragment = cut(UInt8(ascii: "#"))
        let query = cut(UInt8(ascii: "?"))
        var (scheme, host, user, opaque): (Bytes, Bytes, Bytes, Bytes) = ([], [], [], [])
        let isScheme = { (byte: UInt8) in byte.isASCIILetter || byte.isDigit || Bytes("+-.").contains(byte) }
        if let colon = rest.firstIndex(of: UInt8(ascii: ":")), colon > 0, rest[0].isASCIILetter, rest[..<colon].allSatisfy(isScheme) {
            scheme = rest[..<colon].map { $0 < 0x60 && $0.isASCIILetter ? $0 | 0x20 : $0 }
            rest = rest[(colon + 1)...]
            if rest.first != UInt8(ascii: "/") { (opaque, rest) = (Array(rest), []) }
        }
        if rest.starts(with: Bytes("//")) {
            let authority = rest.dropFirst(2).prefix { $0 != UInt8(ascii: "/") }
            rest = rest.dropFirst(2 + authority.count)
            let at = authority.lastIndex(of: UInt8(ascii: "@"))
            if let at { user = Array(authority[..<at]) }
            host = at.map { Array(authority[($0 + 1)...]) } ?? Array(authority)
        }
        var hostname = host
        if let colon = host.lastIndex(of: UInt8(ascii: ":")), host[(colon + 1)...].allSatisfy(\.isDigit) {
            hostname = Array(host[..<colon])
        }
        parts = [
            ("scheme", scheme), ("host", host), ("hostname", hostname), ("path", Array(rest)), ("query", query), ("opaque", opaque),
            ("fragment", fragment), ("userinfo", user),
        ]
    }

    func map(on machine: Machine) throws -> Value {
        let map = try machine.makeMap()
        for (name, value) in parts { try machine.set(map, Array(name.utf8), try machine.makeText(value)) }
        return .map(map)
    }

    static func joined(_ map: MapValue, _ a: Arguments) throws -> Bytes {
        func part(_ name: String, _ prefix: StaticString, _ suffix: StaticString = "") throws -> Bytes {
            guard let value = map[Array(name.utf8)], !value.isNull else { return [] }
            let text = try a.format.plain(value)
            return text.isEmpty ? [] : Bytes(prefix) + text + Bytes(suffix)
        }
        let scheme = try part("scheme", "", ":")
        let opaque = try part("opaque", "")
        let tail = try part("query", "?") + part("fragment", "#")
        if !opaque.isEmpty { return scheme + opaque + tail }
        let host = try part("host", "")
        let path = try part("path", "")
        let authority = host.isEmpty ? [] : try Bytes("//") + part("userinfo", "", "@") + host
        let slash = !host.isEmpty && !path.isEmpty && path.first != UInt8(ascii: "/") ? Bytes("/") : []
        return scheme + authority + slash + path + tail
    }
}
