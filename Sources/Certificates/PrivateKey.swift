import COpenSSL

/// A private key in libcrypto. Owns its pointer; not for use on several threads.
final class PrivateKey {
    /// Valid as long as this object is.
    let pointer: OpaquePointer

    private init(owning pointer: OpaquePointer) { self.pointer = pointer }

    deinit { EVP_PKEY_free(pointer) }

    convenience init(pem: String) throws {
        let bio = try MemoryBIO(pem)
        // The callback answers "no password": libcrypto would ask at the terminal otherwise.
        guard let pointer = PEM_read_bio_PrivateKey(bio.pointer, nil, { _, _, _, _ in 0 }, nil) else {
            throw CertificateError.unusable("that is no private key in PEM (one with a password can't be used)")
        }
        self.init(owning: pointer)
    }

    static func generateP256() throws -> PrivateKey {
        guard let pointer = farm_generate_p256() else { throw CertificateError.library(queuedError()) }
        return PrivateKey(owning: pointer)
    }

    static func generateEd25519() throws -> PrivateKey {
        guard let pointer = farm_generate_ed25519() else { throw CertificateError.library(queuedError()) }
        return PrivateKey(owning: pointer)
    }

    /// PKCS #8 without a password.
    func pem() throws -> String {
        let bio = try MemoryBIO("")
        try check(PEM_write_bio_PKCS8PrivateKey(bio.pointer, pointer, nil, nil, 0, nil, nil))
        return bio.text()
    }

    /// The 32 bytes of an Ed25519 public key.
    func rawPublicKey() throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: GrantVerifier.keyLength)
        var count = bytes.count
        guard EVP_PKEY_get_id(pointer) == EVP_PKEY_ED25519, EVP_PKEY_get_raw_public_key(pointer, &bytes, &count) == 1, count == bytes.count
        else { throw CertificateError.unusable("that is no Ed25519 key") }
        return bytes
    }

    func sign(_ message: [UInt8]) throws -> [UInt8] {
        guard let context = EVP_MD_CTX_new() else { throw CertificateError.library("out of memory") }
        defer { EVP_MD_CTX_free(context) }
        var signature = [UInt8](repeating: 0, count: GrantVerifier.signatureLength)
        var count = signature.count
        try check(EVP_DigestSignInit(context, nil, nil, nil, pointer))
        try check(EVP_DigestSign(context, &signature, &count, message, message.count))
        guard count == signature.count else { throw CertificateError.library("a signature of \(count) bytes") }
        return signature
    }

    static func verify(_ signature: [UInt8], of message: [UInt8], publicKey: [UInt8]) -> Bool {
        guard let key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nil, publicKey, publicKey.count) else { return false }
        defer { EVP_PKEY_free(key) }
        guard let context = EVP_MD_CTX_new() else { return false }
        defer { EVP_MD_CTX_free(context) }
        defer { ERR_clear_error() }
        guard EVP_DigestVerifyInit(context, nil, nil, nil, key) == 1 else { return false }
        return EVP_DigestVerify(context, signature, signature.count, message, message.count) == 1
    }
}

/// A BIO in memory, for PEM texts. Owns its pointer.
final class MemoryBIO {
    let pointer: OpaquePointer

    init(_ text: String) throws {
        guard let pointer = BIO_new(BIO_s_mem()) else { throw CertificateError.library("out of memory") }
        self.pointer = pointer
        let bytes = Array(text.utf8)
        if !bytes.isEmpty, BIO_write(pointer, bytes, Int32(clamping: bytes.count)) != bytes.count {
            throw CertificateError.library("out of memory")
        }
    }

    deinit { BIO_free(pointer) }

    /// All that was written.
    func text() -> String {
        var bytes = [UInt8](repeating: 0, count: farm_BIO_pending(pointer))
        let count = BIO_read(pointer, &bytes, Int32(clamping: bytes.count))
        return String(decoding: bytes.prefix(max(0, Int(count))), as: UTF8.self)
    }
}

/// Throws what libcrypto has queued when a call did not answer 1.
func check(_ result: Int32) throws {
    guard result == 1 else { throw CertificateError.library(queuedError()) }
}

/// The first queued error of this thread; empties the queue.
func queuedError() -> String {
    let code = ERR_get_error()
    ERR_clear_error()
    guard code != 0, let text = ERR_reason_error_string(code) else { return "error \(code)" }
    return String(cString: text)
}
