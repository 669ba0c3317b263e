import COpenSSL

/// A SHA-256 digest: the name of everything that Farm stores by content.
///
/// Its text is `sha256:` and 64 lower-case hexadecimal digits, as in the OCI image specification. The 32 bytes are kept
/// in four words, so that a digest is a value without an allocation.
public struct Digest: Hashable, Sendable {
    private let words: (UInt64, UInt64, UInt64, UInt64)

    /// The number of bytes of a digest.
    public static let byteCount = 32

    /// Takes exactly 32 bytes; nil for any other count.
    public init?(bytes: some Collection<UInt8>) {
        guard bytes.count == Self.byteCount else { return nil }
        var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
        withUnsafeMutableBytes(of: &words) { $0.copyBytes(from: bytes) }
        self.words = words
    }

    fileprivate init(filling body: (UnsafeMutableRawBufferPointer) -> Void) {
        var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
        withUnsafeMutableBytes(of: &words, body)
        self.words = words
    }

    /// The 32 bytes, most significant first.
    public var bytes: [UInt8] { withUnsafeBytes { Array($0) } }

    /// Lends the 32 bytes without a copy.
    public func withUnsafeBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
        try Swift.withUnsafeBytes(of: words, body)
    }

    /// The 64 hexadecimal digits without the algorithm's name.
    public var hex: String {
        String(unsafeUninitializedCapacity: 2 * Self.byteCount) { text in
            withUnsafeBytes { bytes in
                for (index, byte) in bytes.enumerated() {
                    text[2 * index] = Self.digits[Int(byte >> 4)]
                    text[2 * index + 1] = Self.digits[Int(byte & 15)]
                }
            }
            return 2 * Self.byteCount
        }
    }

    private static let digits = Array("0123456789abcdef".utf8)

    /// Reads 64 hexadecimal digits of lower case; nil for anything else.
    public init?(hex: some StringProtocol) {
        let text = Array(hex.utf8)
        guard text.count == 2 * Self.byteCount else { return nil }
        var bytes = [UInt8]()
        bytes.reserveCapacity(Self.byteCount)
        for index in stride(from: 0, to: text.count, by: 2) {
            guard let high = Self.value(of: text[index]), let low = Self.value(of: text[index + 1]) else { return nil }
            bytes.append(high << 4 | low)
        }
        self.init(bytes: bytes)
    }

    private static func value(of digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
        default: nil
        }
    }

    public static func == (a: Digest, b: Digest) -> Bool { a.words == b.words }

    /// All of it: what a peer announces is no digest of anything yet, and may agree in as many bytes as it likes.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(words.0)
        hasher.combine(words.1)
        hasher.combine(words.2)
        hasher.combine(words.3)
    }

    /// The digest of a whole value in memory.
    public static func of(_ bytes: UnsafeRawBufferPointer) -> Digest {
        var hasher = SHA256Hasher()
        hasher.update(bytes)
        return hasher.finalize()
    }

    /// The digest of a whole value in memory.
    public static func of(_ bytes: [UInt8]) -> Digest { bytes.withUnsafeBytes { of($0) } }

    /// The digest of a text's UTF-8.
    public static func of(_ text: String) -> Digest { of(Array(text.utf8)) }
}

extension Digest: Comparable {
    /// The order of the bytes, as memcmp gives it.
    public static func < (a: Digest, b: Digest) -> Bool {
        let pairs = [(a.words.0, b.words.0), (a.words.1, b.words.1), (a.words.2, b.words.2), (a.words.3, b.words.3)]
        for (x, y) in pairs where x != y { return x.bigEndian < y.bigEndian }
        return false
    }
}

extension Digest: LosslessStringConvertible {
    private static let prefix = "sha256:"

    public var description: String { Self.prefix + hex }

    /// Reads `sha256:<64 hexadecimal digits>`; nil for anything else.
    public init?(_ description: String) {
        guard description.hasPrefix(Self.prefix) else { return nil }
        self.init(hex: description.dropFirst(Self.prefix.count))
    }
}

extension Digest: Codable {
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        guard let digest = Digest(text) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "'\(text)' is not a sha256 digest")
        }
        self = digest
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}

/// A running SHA-256, by libssl (which uses the CPU's SHA instructions where there are any).
///
/// Feed it in any portions, then ``finalize()`` once.
public struct SHA256Hasher: ~Copyable {
    // Owned by this value, which can't be copied: allocated in init, freed in deinit, never handed out.
    private let context: OpaquePointer?

    /// Starts an empty hash.
    public init() {
        context = EVP_MD_CTX_new()
        EVP_DigestInit_ex(context, EVP_sha256(), nil)
    }

    deinit { EVP_MD_CTX_free(context) }

    /// Appends bytes to what is hashed.
    public mutating func update(_ bytes: UnsafeRawBufferPointer) {
        guard let base = bytes.baseAddress, bytes.count > 0 else { return }
        EVP_DigestUpdate(context, base, bytes.count)
    }

    /// Appends bytes to what is hashed.
    public mutating func update(_ bytes: [UInt8]) { bytes.withUnsafeBytes { update($0) } }

    /// Appends a text's UTF-8 to what is hashed.
    public mutating func update(_ text: String) { update(Array(text.utf8)) }

    /// The digest of everything appended. The hasher is used up.
    public consuming func finalize() -> Digest {
        Digest { EVP_DigestFinal_ex(context, $0.baseAddress?.assumingMemoryBound(to: UInt8.self), nil) }
    }
}
