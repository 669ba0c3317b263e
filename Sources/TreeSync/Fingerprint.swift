import Digests

/// A keyed 64-bit hash of an entry: SipHash-2-4 (Aumasson and Bernstein, 2012).
///
/// The key is made by whoever asks, anew for each comparison, so that nobody can prepare two entries that look the same. A
/// comparison that was wrong all the same is found by the digest of the whole tree.
struct Fingerprint: Sendable {
    /// The bytes of a key.
    static let keyLength = 16

    private let keys: (UInt64, UInt64)

    /// - Parameter key: 16 bytes, two numbers with the lowest byte first.
    init(key: [UInt8]) {
        precondition(key.count == Self.keyLength)
        keys = key.withUnsafeBytes {
            (
                UInt64(littleEndian: $0.loadUnaligned(as: UInt64.self)),
                UInt64(littleEndian: $0.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
            )
        }
    }

    /// Of an entry as its directory sees it.
    func of(_ entry: TreeEntry, digest: Digest?) -> UInt64 {
        var encoder = ByteEncoder(reserving: 128)
        encoder.child(entry, digest: digest)
        return encoder.bytes.withUnsafeBytes { hash($0) }
    }

    func hash(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
        var state = SipState(keys)
        let whole = bytes.count & ~7
        for offset in stride(from: 0, to: whole, by: 8) {
            state.take(UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)))
        }
        var last = UInt64(bytes.count & 0xff) << 56
        for index in whole..<bytes.count { last |= UInt64(bytes[index]) << UInt64(8 * (index - whole)) }
        state.take(last)
        return state.finish()
    }
}

private struct SipState {
    private var v0: UInt64
    private var v1: UInt64
    private var v2: UInt64
    private var v3: UInt64

    init(_ keys: (UInt64, UInt64)) {
        v0 = keys.0 ^ 0x736f_6d65_7073_6575
        v1 = keys.1 ^ 0x646f_7261_6e64_6f6d
        v2 = keys.0 ^ 0x6c79_6765_6e65_7261
        v3 = keys.1 ^ 0x7465_6462_7974_6573
    }

    mutating func take(_ word: UInt64) {
        v3 ^= word
        round()
        round()
        v0 ^= word
    }

    mutating func finish() -> UInt64 {
        v2 ^= 0xff
        for _ in 0..<4 { round() }
        return v0 ^ v1 ^ v2 ^ v3
    }

    private mutating func round() {
        v0 &+= v1
        v1 = Self.rotate(v1, 13) ^ v0
        v0 = Self.rotate(v0, 32)
        v2 &+= v3
        v3 = Self.rotate(v3, 16) ^ v2
        v0 &+= v3
        v3 = Self.rotate(v3, 21) ^ v0
        v2 &+= v1
        v1 = Self.rotate(v1, 17) ^ v2
        v2 = Self.rotate(v2, 32)
    }

    private static func rotate(_ value: UInt64, _ by: UInt64) -> UInt64 { value << by | value >> (64 - by) }
}
