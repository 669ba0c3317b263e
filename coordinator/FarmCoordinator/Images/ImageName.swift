/// The name of a base image as FROM gives it.
///
/// `debian`, `debian:latest`, `library/debian` and `docker.io/library/debian:latest` are one image, as everywhere.
struct ImageName: Hashable, Sendable, CustomStringConvertible {
    /// The shortest form.
    let description: String

    /// Throws ``RouteError/badRequest(_:)`` for what can't be a name.
    init(_ text: String) throws(RouteError) {
        let allowed: (UInt8) -> Bool = { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
                UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "/"), UInt8(ascii: ":"), UInt8(ascii: "@"):
                true
            default: false
            }
        }
        guard (1...Limits.name).contains(text.utf8.count), text.utf8.allSatisfy(allowed),
            text.split(separator: "/", omittingEmptySubsequences: false).allSatisfy({ !$0.isEmpty && $0 != "." && $0 != ".." }),
            text.utf8.last != UInt8(ascii: ":"), text != "scratch"
        else {
            throw .badRequest("'\(text)' can't be an image's name: expected [HOST/]NAME[:TAG]")
        }
        description = Self.shortest(text)
    }

    /// Drops what every tool adds by itself: the registry docker.io, its folder library, the tag latest.
    static func shortest(_ name: String) -> String {
        var name = name[...]
        for prefix in ["docker.io/", "index.docker.io/"] where name.hasPrefix(prefix) { name = name.dropFirst(prefix.count) }
        if name.hasPrefix("library/") { name = name.dropFirst("library/".count) }
        if name.hasSuffix(":latest"), !name.contains("@") { name = name.dropLast(":latest".count) }
        return String(name)
    }
}
