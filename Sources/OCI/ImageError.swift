/// Why an image could not be read or made.
public enum ImageError: Error, Sendable, CustomStringConvertible {
    /// Neither an image nor a root file system.
    case notAnImage(path: String, reason: String)
    /// It says that it is an image, but it is not whole.
    case damaged(reason: String)
    /// Something that Farm does not take.
    case unsupported(reason: String)
    /// A multi-platform image without the platform that is wanted.
    case platformMissing(wanted: String, available: [String])
    /// Values that do not make an image.
    case inconsistent(reason: String)

    public var description: String {
        switch self {
        case .notAnImage(let path, let reason):
            "\(path.isEmpty ? "this" : "'\(path)'") is no image: \(reason); give an OCI archive or layout, a Docker archive, or a root file system as tar"
        case .damaged(let reason): "the image is damaged: \(reason); fetch or export it again"
        case .unsupported(let reason): "the image is not supported: \(reason)"
        case .platformMissing(let wanted, let available):
            "the image has no \(wanted), only \(available.isEmpty ? "unnamed platforms" : available.joined(separator: ", "))"
        case .inconsistent(let reason): "no image can be made: \(reason)"
        }
    }
}
