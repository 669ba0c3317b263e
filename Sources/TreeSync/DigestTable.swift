import Digests

/// The puts of a delta by their contents: twelve bytes a name, where a dictionary would take seven times as many.
///
/// Digests are hashed with the process's secret, all bytes of them: they are a peer's choice as long as no content has come.
struct DigestTable {
    // Of each, from the lowest bit: the put plus one, its place, a part of the hash. 0 for a free one. A third of them stays free.
    private var slots: [UInt64]

    private static let putBits: UInt64 = 24
    private static let placeBits: UInt64 = 28
    private static var tagShift: UInt64 { putBits + placeBits }

    /// - Parameter count: of the puts.
    init(count: Int) {
        precondition(count < 1 << Self.putBits, "more names than a volume has")
        slots = [UInt64](repeating: 0, count: count + count / 2 + 1)
    }

    /// The put that was taken with this digest; takes this one where there is none.
    ///
    /// - Parameters:
    ///   - place: of the put's content, below 2^28.
    ///   - content: gives what is at a place.
    mutating func take(
        _ digest: Digest, _ put: Int, at place: Int, content: (_ place: Int) throws -> FileContent?
    ) rethrows -> Int? {
        let (slot, found) = try look(digest, content)
        if let found { return found }
        slots[slot] = Self.hash(digest) << Self.tagShift | UInt64(place) << Self.putBits | UInt64(put + 1)
        return nil
    }

    /// The put that was taken with this digest.
    func put(_ digest: Digest, content: (_ place: Int) throws -> FileContent?) rethrows -> Int? { try look(digest, content).found }

    /// The slot that has the digest, or the free one where it would be.
    private func look(_ digest: Digest, _ content: (Int) throws -> FileContent?) rethrows -> (slot: Int, found: Int?) {
        let hash = Self.hash(digest)
        let tag = hash & (1 << (UInt64(UInt64.bitWidth) - Self.tagShift) - 1)
        // The high bits give the slot, the low ones are compared.
        var slot = Int(hash.multipliedFullWidth(by: UInt64(slots.count)).high)
        while slots[slot] != 0 {
            let found = slots[slot]
            if found >> Self.tagShift == tag {
                let place = Int(found >> Self.putBits & (1 << Self.placeBits - 1))
                if try content(place)?.digest == digest { return (slot, Int(found & (1 << Self.putBits - 1)) - 1) }
            }
            slot = slot + 1 == slots.count ? 0 : slot + 1
        }
        return (slot, nil)
    }

    private static func hash(_ digest: Digest) -> UInt64 {
        var hasher = Hasher()
        hasher.combine(digest)
        return UInt64(bitPattern: Int64(hasher.finalize()))
    }
}
