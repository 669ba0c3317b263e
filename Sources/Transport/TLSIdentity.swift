/// What one end of a connection shows and trusts. Files are PEM.
public struct TLSIdentity: Hashable, Sendable {
    /// The certificate (chain), leaf first; nil for a client that has a token instead.
    public var certificateFile: String?
    /// The certificate's private key.
    public var privateKeyFile: String?
    /// The farm's authority: the only one that is trusted.
    public var authorityFile: String

    public init(certificateFile: String?, privateKeyFile: String?, authorityFile: String) {
        self.certificateFile = certificateFile
        self.privateKeyFile = privateKeyFile
        self.authorityFile = authorityFile
    }
}

/// The roles that certificates of a farm give in their organizational unit.
public enum Role {
    public static let coordinator = "coordinator"
    public static let agent = "agent"
    public static let client = "client"
}
