import Digests
import Glibc

/// A whole generation's manifest as it arrives, written to a file as the delta that makes it of nothing: the two differ in how they begin and
/// how they end. Nothing is decoded on the way, so that it takes the memory of a block whatever its length.
enum ManifestRecord {
    /// Reads the rest of a stream to a file, and checks all of it: the file is there as a whole and checked, or not at all.
    static func receive(_ source: BlockSource, to path: String) throws -> ManifestTable {
        let aside = path + ".new"
        do {
            try fill(aside, from: source)
            let table = try ManifestTable(unchecked: aside)
            guard rename(aside, path) == 0 else { throw TreeSyncError.last("renaming", aside) }
            return table
        } catch {
            unlink(aside)
            throw error
        }
    }

    private static func fill(_ path: String, from source: BlockSource) throws {
        let file = try Descriptor.open(path, O_WRONLY | O_CREAT | O_TRUNC, mode: 0o600)
        let magic = ManifestFormat.wholeMagic
        guard try source.raw(magic.count) == magic else { throw TreeSyncError.badManifest("it does not begin as one") }
        var arrived = SHA256Hasher()
        var written = SHA256Hasher()
        arrived.update(magic)
        written.update(ManifestFormat.deltaMagic)
        try file.append(ManifestFormat.deltaMagic, path)
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: BlockFormat.blockSize + Digest.byteCount, alignment: 16)
        defer { buffer.deallocate() }
        // The last bytes so far, which may be the digest at the end.
        var held = 0
        var length = magic.count
        while true {
            let count = try source.read(into: UnsafeMutableRawBufferPointer(rebasing: buffer[held...]))
            if count == 0 { break }
            length += count
            guard length <= VolumeManifest.encodedLimit else {
                throw TreeSyncError.badStream("more than \(VolumeManifest.encodedLimit) bytes")
            }
            let filled = held + count
            held = min(filled, Digest.byteCount)
            let body = UnsafeRawBufferPointer(rebasing: buffer[..<(filled - held)])
            arrived.update(body)
            written.update(body)
            try file.append(body, path)
            buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: buffer[(filled - held)..<filled]))
        }
        guard held == Digest.byteCount, buffer[..<held].elementsEqual(arrived.finalize().bytes) else {
            throw TreeSyncError.badManifest("its digest is wrong")
        }
        // No deletions.
        written.update([0])
        try file.append([0] + written.finalize().bytes, path)
    }
}

extension Descriptor {
    fileprivate func append(_ bytes: [UInt8], _ path: String) throws { try bytes.withUnsafeBytes { try append($0, path) } }

    fileprivate func append(_ bytes: UnsafeRawBufferPointer, _ path: String) throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = write(number, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
            guard count > 0 else {
                if count < 0, errno == EINTR { continue }
                throw TreeSyncError.last("writing", path)
            }
            rest = rest.dropFirst(count)
        }
    }
}
