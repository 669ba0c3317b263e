/// An image's name as users give it, and as the archives' readers want it.
struct ImageName {
    /// Without a tag.
    let name: String
    let tag: String

    /// Takes `name[:tag]`; without a tag it is `latest`.
    init(_ text: String) {
        let afterPath = text.lastIndex(of: "/").map { text.index(after: $0) } ?? text.startIndex
        if let colon = text[afterPath...].firstIndex(of: ":") {
            name = String(text[..<colon])
            tag = String(text[text.index(after: colon)...])
        } else {
            name = text
            tag = "latest"
        }
    }

    /// As `docker images` lists it.
    var tagged: String { "\(name):\(tag)" }

    /// With the registry that names without one mean.
    var qualified: String {
        guard let slash = name.firstIndex(of: "/") else { return "docker.io/library/\(tagged)" }
        let first = name[..<slash]
        return first.contains(".") || first.contains(":") || first == "localhost" ? tagged : "docker.io/\(tagged)"
    }
}
