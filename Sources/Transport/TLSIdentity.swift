/// What one end of a connection shows and trusts. Files are PEM.
public struct TLSIdentity: Hashable, Sendable {
    /// The certificate (chain), leaf first; nil for a client that has a token instead.
    public var certificateFile: String?
    /// The certificate's private key.
    public var privateKeyFile: String?
    /// The farm's authority: the only one that is trusted.
    public var authorityFile: String

    /// Names files; they are read where a server starts or a client connects.
    public init(certificateFile: String?, privateKeyFile: String?, authorityFile: String) {
        self.certificateFile = certificateFile
        self.privateKeyFile = privateKeyFile
        self.authorityFile = authorityFile
    }
}

/// The roles that certificates of a farm give in their organizational unit.
public enum Role {
    /// The machine that plans.
    public static let coordinator = "coordinator"
    /// A machine that builds.
    public static let agent = "agent"
    /// A person or a CI job.
    public static let client = "client"
}
