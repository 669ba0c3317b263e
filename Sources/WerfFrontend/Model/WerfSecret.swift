/// `secrets`: a value that whoever submits has, and that steps of one image see.
public struct WerfSecret: Hashable, Sendable {
    /// Where the value comes from.
    public enum Source: Hashable, Sendable {
        /// A variable of the submitting process.
        case variable(String)
        /// A file of the submitting machine, as it is written: `~` at the beginning is the home folder.
        case file(String)
        /// It stands in the file itself.
        case value(String)
    }

    /// The image that sees it; empty for `image: ~`.
    public let image: String
    /// Under which the image's steps know it: `/run/secrets/<id>`.
    public let id: String
    public let source: Source
    /// In the rendered file.
    public let line: Int

    /// Under which the build knows it, since two images may give one id to two values: `<image>/<id>`. The plan's mounts have this id, and
    /// the client sends the value under it.
    public var qualifiedID: String { Self.qualifiedID(id, image: image) }

    func of(_ image: String) -> WerfSecret { WerfSecret(image: image, id: id, source: source, line: line) }

    static func qualifiedID(_ id: String, image: String) -> String { "\(image)/\(id)" }
}
