/// The files of one end of a connection in their directory.
public struct CertificateFiles: Sendable, Hashable {
    /// Where they are.
    public let directory: String

    public init(directory: String) { self.directory = directory }

    /// The authority's certificate.
    public var authority: String { directory + "/authority.pem" }
    /// The own certificate.
    public var certificate: String { directory + "/certificate.pem" }
    /// The own private key.
    public var key: String { directory + "/key.pem" }

    /// When the own certificate begins and ends, and whether it is time to renew it. Blocking.
    public func check() throws -> CertificateAge { try CertificateAge(certificatePEM: PEMFile.read(certificate)) }

    /// True when the certificate has less than a third of its life left, or has expired. Blocking.
    public func needsRenewal() throws -> Bool { try check().needsRenewal }
}

/// How much of a certificate's life is left.
public struct CertificateAge: Sendable, Hashable {
    /// From its begin to its end.
    public let lifetime: Duration
    /// From now to its end; negative once expired.
    public let remaining: Duration

    /// Throws when the text is no certificate.
    public init(certificatePEM: String) throws {
        (lifetime, remaining) = try X509Certificate(pem: certificatePEM).age()
    }

    /// Less than a third left: time enough for several tries.
    public var needsRenewal: Bool { remaining * 3 < lifetime }
    /// No peer accepts it any more.
    public var hasExpired: Bool { remaining <= .zero }
}
