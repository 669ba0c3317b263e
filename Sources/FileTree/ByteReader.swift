import Digests

/// Takes values from bytes of unknown origin, checking that they are there. Integers are little-endian.
struct ByteReader {
    private let bytes: [UInt8]
    private var position = 0
    private let what: String

    init(_ bytes: [UInt8], what: String) {
        self.bytes = bytes
        self.what = what
    }

    var remaining: Int { bytes.count - position }

    mutating func take(_ count: Int) throws -> ArraySlice<UInt8> {
        guard count >= 0, count <= remaining else { throw error("it ends too early") }
        defer { position += count }
        return bytes[position..<position + count]
    }

    mutating func integer<T: FixedWidthInteger & UnsignedInteger>(_ type: T.Type) throws -> T {
        guard MemoryLayout<T>.size <= remaining else { throw error("it ends too early") }
        defer { position += MemoryLayout<T>.size }
        return bytes.withUnsafeBytes { T(littleEndian: $0.loadUnaligned(fromByteOffset: position, as: T.self)) }
    }

    mutating func digest() throws -> Digest {
        guard let digest = Digest(bytes: try take(Digest.byteCount)) else { throw error("it ends too early") }
        return digest
    }

    func error(_ reason: String) -> FileTreeError { .malformed(what: what, reason: reason) }
}

extension [UInt8] {
    /// Appends an integer, little-endian.
    mutating func append<T: FixedWidthInteger & UnsignedInteger>(_ value: T) {
        Swift.withUnsafeBytes(of: value.littleEndian) { append(contentsOf: $0) }
    }

    /// Appends the 32 bytes.
    mutating func append(_ digest: Digest) { digest.withUnsafeBytes { append(contentsOf: $0) } }
}
