/// The Ed25519 key by which the coordinator signs what agents may give each other.
public struct GrantSigningKey: Sendable {
    /// The private key, PKCS #8.
    public let pem: String
    /// What verifies its signatures: 32 bytes.
    public let publicKey: [UInt8]

    /// Takes a PEM text; throws when it is no Ed25519 key.
    public init(pem: String) throws {
        publicKey = try PrivateKey(pem: pem).rawPublicKey()
        self.pem = pem
    }

    /// Loads a key's file. Blocking.
    public init(file: String) throws { try self.init(pem: PEMFile.read(file)) }

    /// A new key.
    public static func create() throws -> GrantSigningKey { try GrantSigningKey(pem: PrivateKey.generateEd25519().pem()) }

    /// The key of that file; made and written (0600) where there is none yet. Blocking.
    public static func loadOrCreate(file: String) throws -> GrantSigningKey {
        if PEMFile.exists(file) { return try GrantSigningKey(file: file) }
        let key = try create()
        try key.write(to: file)
        return key
    }

    /// Writes the key's file, 0600, atomically. Blocking.
    public func write(to file: String) throws { try PEMFile.write(pem, to: file, secret: true) }

    /// The signature of these bytes: 64 bytes. Costs some 50 microseconds.
    public func sign(_ message: [UInt8]) throws -> [UInt8] { try PrivateKey(pem: pem).sign(message) }
}

/// Verifies what a ``GrantSigningKey`` signed.
public struct GrantVerifier: Sendable, Hashable {
    /// Bytes of a public key.
    public static let keyLength = 32
    /// Bytes of a signature.
    public static let signatureLength = 64

    /// The signer's public key.
    public let publicKey: [UInt8]

    /// Throws when it is not 32 bytes.
    public init(publicKey: [UInt8]) throws {
        guard publicKey.count == Self.keyLength else {
            throw CertificateError.unusable("an Ed25519 public key has \(Self.keyLength) bytes, not \(publicKey.count)")
        }
        self.publicKey = publicKey
    }

    /// Whether that key signed exactly these bytes. Costs some 100 microseconds.
    public func isValid(signature: [UInt8], of message: [UInt8]) -> Bool {
        signature.count == Self.signatureLength && PrivateKey.verify(signature, of: message, publicKey: publicKey)
    }
}
