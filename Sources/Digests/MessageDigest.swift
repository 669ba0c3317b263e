import COpenSSL

/// Digests other than SHA-256, for texts that ask for them by name. Nothing of Farm is named by these.
public enum MessageDigest: Sendable {
    case sha1
    case sha512

    /// The digest's bytes: 20 for SHA-1, 64 for SHA-512.
    public func of(_ bytes: [UInt8]) -> [UInt8] {
        var result = [UInt8](repeating: 0, count: Int(EVP_MAX_MD_SIZE))
        var count: UInt32 = 0
        let algorithm = self == .sha1 ? EVP_sha1() : EVP_sha512()
        EVP_Digest(bytes, bytes.count, &result, &count, algorithm, nil)
        return Array(result.prefix(Int(count)))
    }
}
