/// Appends the numbers and byte strings of our formats to an array.
struct ByteEncoder {
    private(set) var bytes: [UInt8] = []

    init(reserving capacity: Int = 0) { bytes.reserveCapacity(capacity) }

    mutating func byte(_ value: UInt8) { bytes.append(value) }

    mutating func raw(_ value: some Collection<UInt8>) { bytes.append(contentsOf: value) }

    /// LEB128: seven bits a byte, the lowest first, the top bit says that more follow.
    mutating func number(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }

    mutating func number(_ value: Int) { number(UInt64(value)) }

    /// Zigzag, then LEB128.
    mutating func signed(_ value: Int64) { number(UInt64(bitPattern: (value << 1) ^ (value >> 63))) }

    /// The length and then the bytes.
    mutating func string(_ value: some Collection<UInt8>) {
        number(value.count)
        raw(value)
    }
}

/// Reads the same from bytes in memory. Every length is checked against what is there before it is used.
struct ByteDecoder {
    private let bytes: UnsafeRawBufferPointer
    /// How many bytes were read.
    private(set) var position = 0

    /// The bytes are the caller's and must outlive the decoder.
    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    var remaining: Int { bytes.count - position }

    mutating func byte() throws -> UInt8 {
        guard position < bytes.count else { throw TreeSyncError.badManifest("it ends early") }
        defer { position += 1 }
        return bytes[position]
    }

    mutating func number() throws -> UInt64 {
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 64, by: 7) {
            let next = try byte()
            let bits = UInt64(next & 0x7f)
            guard shift < 63 || bits <= 1 else { break }
            value |= bits << shift
            if next & 0x80 == 0 {
                // One value has one form, so that a digest of the bytes is one of the value.
                guard next != 0 || shift == 0 else { break }
                return value
            }
        }
        throw TreeSyncError.badManifest("a number in a form that is not the shortest")
    }

    mutating func number<T: FixedWidthInteger>(_ type: T.Type, upTo limit: T) throws -> T {
        let value = try number()
        guard let result = T(exactly: value), result <= limit else { throw TreeSyncError.badManifest("the number \(value) is too large") }
        return result
    }

    mutating func signed() throws -> Int64 {
        let value = try number()
        return Int64(bitPattern: value >> 1) ^ -Int64(bitPattern: value & 1)
    }

    mutating func raw(_ count: Int) throws -> UnsafeRawBufferPointer {
        guard count <= remaining else { throw TreeSyncError.badManifest("it ends early") }
        defer { position += count }
        return UnsafeRawBufferPointer(rebasing: bytes[position..<position + count])
    }

    mutating func string(upTo limit: Int) throws -> [UInt8] { Array(try raw(try number(Int.self, upTo: limit))) }
}
