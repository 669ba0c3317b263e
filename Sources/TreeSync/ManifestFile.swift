import Digests
import Glibc

/// A manifest in its binary form on disk, of which a part at a time is read.
///
/// It is read, and not mapped: what a disk can't give any more is an error so, and not the end of the process. The file stays readable when
/// its name is removed or given to another. Places are counted from behind the magic bytes, as a decoder of all of it would count them.
struct ManifestFile: Sendable {
    private let file: Descriptor
    /// For errors.
    private let path: String
    private let magic: [UInt8]
    /// Of the whole file.
    let byteCount: Int

    init(_ path: String, magic: [UInt8]) throws {
        self.path = path
        self.magic = magic
        file = try Descriptor.open(path, O_RDONLY)
        byteCount = Int(try file.status([]).st_size)
        guard byteCount >= magic.count + Digest.byteCount, byteCount <= VolumeManifest.encodedLimit else {
            throw TreeSyncError.badManifest("a file of \(byteCount) bytes")
        }
    }

    /// Where the digest of all before it begins.
    var end: Int { byteCount - magic.count - Digest.byteCount }

    /// Reads the bytes between two places.
    func read(_ range: Range<Int>) throws -> ManifestBytes {
        let bytes = ManifestBytes(count: range.count, at: range.lowerBound)
        try read(into: bytes.buffer, at: range.lowerBound)
        return bytes
    }

    /// Fills a buffer from a place on.
    func read(into buffer: UnsafeMutableRawBufferPointer, at place: Int) throws {
        try fill(buffer, from: magic.count + place)
    }

    private func fill(_ buffer: UnsafeMutableRawBufferPointer, from position: Int) throws {
        var filled = 0
        while filled < buffer.count {
            let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[filled...])
            let count = pread(file.number, rest.baseAddress, rest.count, position + filled)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw TreeSyncError.last("reading", path) }
            guard count > 0 else { throw TreeSyncError.badManifest("it ends early") }
            filled += count
        }
    }

    /// The bytes that it begins with.
    fileprivate func checkMagic() throws -> [UInt8] {
        let found = try bytes(magic.count, from: 0)
        guard found == magic else { throw TreeSyncError.badManifest("it does not begin as one") }
        return found
    }

    /// The digest that it says it has.
    fileprivate func digest() throws -> [UInt8] { try bytes(Digest.byteCount, from: byteCount - Digest.byteCount) }

    private func bytes(_ count: Int, from position: Int) throws -> [UInt8] {
        var found = [UInt8](repeating: 0, count: count)
        try found.withUnsafeMutableBytes { try fill($0, from: position) }
        return found
    }

    /// More than most entries have.
    private static let entryLength = 512

    /// An entry without its path, by the place of what is behind that.
    func entry(at place: Int) throws -> TreeEntry {
        var length = Self.entryLength
        while true {
            let range = place..<min(place + length, end)
            do {
                return try read(range).decode { try $0.entry([]) }
            } catch TreeSyncError.badManifest where range.upperBound < end {
                length *= 4
            }
        }
    }
}

/// Some bytes of a manifest in memory.
final class ManifestBytes: Sendable {
    // Made in init and gone in deinit; filled before anybody else has it, and never written to again.
    fileprivate nonisolated(unsafe) let buffer: UnsafeMutableRawBufferPointer
    /// The place of the first one.
    let place: Int

    fileprivate init(count: Int, at place: Int) {
        buffer = .allocate(byteCount: count, alignment: 16)
        self.place = place
    }

    deinit { buffer.deallocate() }

    /// The bytes, as long as this object lives.
    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(buffer) }

    /// Decodes from the beginning.
    func decode<T>(_ body: (inout ByteDecoder) throws -> T) rethrows -> T {
        try withExtendedLifetime(self) {
            var decoder = ByteDecoder(bytes)
            return try body(&decoder)
        }
    }
}

/// Goes through a manifest from its beginning to its end, with the memory of the largest entry, and sees that it is what was written.
final class ManifestScan {
    private let file: ManifestFile
    private var buffer: UnsafeMutableRawBufferPointer
    /// What is in the buffer and was not decoded.
    private var held = 0..<0
    /// The place of what was not decoded.
    private(set) var place = 0
    // Nil once the digest was taken.
    private var hasher: SHA256Hasher? = SHA256Hasher()

    private static let portion = 1 << 20
    /// With less in the buffer more is read before anything is decoded: most entries are shorter.
    private static let low = 16 << 10
    /// No entry is longer: its path, and all the attributes that it may have.
    private static let longest = 32 << 20

    init(_ file: ManifestFile) throws {
        self.file = file
        hasher?.update(try file.checkMagic())
        buffer = .allocate(byteCount: Self.portion, alignment: 16)
    }

    deinit { buffer.deallocate() }

    private var isAllRead: Bool { place + held.count == file.end }

    /// Decodes what comes next.
    func next<T>(_ decode: (inout ByteDecoder) throws -> T) throws -> T {
        if held.count < Self.low, !isAllRead { try fill() }
        while true {
            var decoder = ByteDecoder(UnsafeRawBufferPointer(rebasing: buffer[held]))
            do {
                let decoded = try decode(&decoder)
                place += decoder.position
                held = held.lowerBound + decoder.position..<held.upperBound
                return decoded
            } catch TreeSyncError.badManifest where !isAllRead && held.count < Self.longest {
                try fill()
            }
        }
    }

    /// A count of things of which each takes at least `minimum` bytes.
    func count(of minimum: Int) throws -> Int {
        let count = try next { try $0.number(Int.self, upTo: .max) }
        guard count <= min((file.end - place) / minimum, VolumeManifest.entryLimit) else {
            throw TreeSyncError.badManifest("a count of \(count)")
        }
        return count
    }

    /// Throws where there is more, or where it is not what was written.
    func finish() throws {
        guard place == file.end else { throw TreeSyncError.badManifest("\(file.end - place) bytes too many") }
        let digest = hasher.take()?.finalize().bytes
        guard try digest == file.digest() else { throw TreeSyncError.badManifest("its digest is wrong") }
    }

    /// Reads more, in a larger buffer where this one is full.
    private func fill() throws {
        let count = held.count
        let rest = UnsafeRawBufferPointer(rebasing: buffer[held])
        if count > buffer.count / 2 {
            let larger = UnsafeMutableRawBufferPointer.allocate(byteCount: buffer.count * 2, alignment: 16)
            larger.copyMemory(from: rest)
            buffer.deallocate()
            buffer = larger
        } else if count > 0, let start = buffer.baseAddress, let from = rest.baseAddress {
            memmove(start, from, count)
        }
        let more = min(buffer.count - count, file.end - place - count)
        let new = UnsafeMutableRawBufferPointer(rebasing: buffer[count..<count + more])
        // Nothing of it counts where this throws.
        held = 0..<count
        try file.read(into: new, at: place + count)
        hasher?.update(UnsafeRawBufferPointer(new))
        held = 0..<count + more
    }
}
