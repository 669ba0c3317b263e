/// A farm's authority: the one certificate that everybody in the farm trusts, and the key that signs all others.
public struct Authority: Sendable {
    /// How long a new authority is valid.
    public static let validity = Validity(lasting: .seconds(10 * 365 * 86_400))
    /// How long what it issues is valid, unless said otherwise.
    public static let leafValidity = Validity(lasting: .seconds(365 * 86_400))
    /// The name of the key's file in an authority's directory; ``CertificateFiles/authority`` is the certificate's.
    public static let keyFileName = "authority-key.pem"

    /// The self-signed certificate, to be given to everybody.
    public let certificatePEM: String
    /// The private key, which stays where certificates are issued.
    public let keyPEM: String

    /// Takes PEM texts. Throws when the key is not the certificate's, or the certificate is no authority's.
    public init(certificatePEM: String, keyPEM: String) throws {
        let certificate = try X509Certificate(pem: certificatePEM)
        let key = try PrivateKey(pem: keyPEM)
        guard certificate.isAuthority else { throw CertificateError.unusable("the certificate is no authority's") }
        guard certificate.belongs(to: key) else { throw CertificateError.unusable("the authority's key is not its certificate's") }
        self.certificatePEM = certificatePEM
        self.keyPEM = keyPEM
    }

    /// Loads `authority.pem` and `authority-key.pem`.
    public init(directory: String) throws {
        try self.init(
            certificatePEM: PEMFile.read(CertificateFiles(directory: directory).authority),
            keyPEM: PEMFile.read(directory + "/" + Self.keyFileName))
    }

    /// Makes a new authority: EC P-256, self-signed.
    public static func create(commonName: String, validity: Validity = Authority.validity) throws -> Authority {
        let key = try PrivateKey.generateP256()
        let request = CertificateRequest(commonName: commonName, role: nil, names: [], addresses: [], validity: validity)
        let certificate = try X509Certificate.issue(request, key: key, issuer: nil)
        return try Authority(certificatePEM: certificate.pem(), keyPEM: key.pem())
    }

    /// Issues a certificate with a new key, for server and client use.
    ///
    /// - Parameters:
    ///   - commonName: who it is for.
    ///   - role: becomes the subject's organizational unit.
    ///   - names: DNS names of a server.
    ///   - addresses: IP addresses of a server.
    public func issue(
        commonName: String, role: String, names: [String] = [], addresses: [String] = [], validity: Validity = Authority.leafValidity
    ) throws -> IssuedCertificate {
        let issuer = (certificate: try X509Certificate(pem: certificatePEM), key: try PrivateKey(pem: keyPEM))
        let key = try PrivateKey.generateP256()
        let request = CertificateRequest(commonName: commonName, role: role, names: names, addresses: addresses, validity: validity)
        let certificate = try X509Certificate.issue(request, key: key, issuer: issuer)
        return IssuedCertificate(certificatePEM: try certificate.pem(), keyPEM: try key.pem())
    }

    /// Writes certificate and key (0600) into a directory, each file atomically. Refuses to replace another authority's key.
    public func write(to directory: String) throws {
        let keyFile = directory + "/" + Self.keyFileName
        if PEMFile.exists(keyFile), try PEMFile.read(keyFile) != keyPEM { throw CertificateError.exists(keyFile) }
        try PEMFile.write(keyPEM, to: keyFile, secret: true)
        try PEMFile.write(certificatePEM, to: CertificateFiles(directory: directory).authority, secret: false)
    }

    /// Writes what a holder of an issued certificate needs: `authority.pem`, `certificate.pem` and `key.pem` (0600).
    public func write(_ issued: IssuedCertificate, to directory: String) throws -> CertificateFiles {
        let files = CertificateFiles(directory: directory)
        // The key first: a certificate without its key would be of no use, the other way round is refused by name.
        try PEMFile.write(issued.keyPEM, to: files.key, secret: true)
        try PEMFile.write(issued.certificatePEM, to: files.certificate, secret: false)
        try PEMFile.write(certificatePEM, to: files.authority, secret: false)
        return files
    }
}

/// A certificate and its private key, as PEM.
public struct IssuedCertificate: Sendable, Hashable {
    /// The certificate.
    public var certificatePEM: String
    /// Its key: a secret.
    public var keyPEM: String

    public init(certificatePEM: String, keyPEM: String) {
        self.certificatePEM = certificatePEM
        self.keyPEM = keyPEM
    }
}

/// From when to when a certificate is valid, counted from now.
public struct Validity: Sendable, Hashable {
    /// Tolerates clocks that are behind the issuer's.
    static let clockSkew: Duration = .seconds(300)

    /// Relative to now; may be negative.
    public var notBefore: Duration
    /// Relative to now; may be negative.
    public var notAfter: Duration

    public init(notBefore: Duration, notAfter: Duration) {
        self.notBefore = notBefore
        self.notAfter = notAfter
    }

    /// From now, and five minutes before for clocks that are behind, for that long.
    public init(lasting duration: Duration) { self.init(notBefore: .zero - Self.clockSkew, notAfter: duration) }
}

/// Why a certificate or key could not be made, read or written.
public enum CertificateError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What is wrong with what was given.
    case unusable(String)
    /// A file can't be read or written.
    case file(String, reason: String)
    /// A key is there already, and replacing it would cut off everybody who trusts it.
    case exists(String)
    /// libcrypto failed.
    case library(String)

    public var description: String {
        switch self {
        case .unusable(let what): what
        case .file(let path, let reason): "\(path): \(reason)"
        case .exists(let path): "\(path) is there already; move it away if it is really to be replaced"
        case .library(let what): "libcrypto: \(what)"
        }
    }
}
