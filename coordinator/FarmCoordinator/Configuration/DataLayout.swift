/// Where a coordinator's files are. `docs/operating.md` describes it for operators.
public struct DataLayout: Sendable, Hashable {
    /// The data directory.
    public let data: String

    /// - Parameter data: the data directory.
    public init(data: String) { self.data = data }

    /// What the whole farm trusts.
    public var authority: String { "\(data)/authority/authority.pem" }
    /// What certificates are signed with. May be kept elsewhere: only `enroll` and `init` read it.
    public var authorityKey: String { "\(data)/authority/authority-key.pem" }
    /// The coordinator's certificate.
    public var certificate: String { "\(data)/certificate.pem" }
    public var key: String { "\(data)/key.pem" }
    /// The Ed25519 key that grants are signed with.
    public var grantKey: String { "\(data)/grants.pem" }
    /// Names and SHA-256 of bearer tokens.
    public var tokens: String { "\(data)/tokens" }
    /// The coordinator's truth.
    public var database: String { "\(data)/farm.sqlite" }
    /// Directory objects of contexts.
    public var objects: String { "\(data)/context/objects" }
    /// File contents of contexts.
    public var packs: String { "\(data)/context/packs" }
    /// Uncompressed layer archives of imported images, named by the hexadecimal digits of their SHA-256.
    public var layers: String { "\(data)/images/layers" }
    /// Uploads under way; emptied at each start.
    public var staging: String { "\(data)/images/staging" }

    /// Every directory that a coordinator makes at its start.
    var directories: [String] { [data, "\(data)/context", objects, packs, "\(data)/images", layers, staging] }
}
