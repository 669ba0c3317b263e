import Digests
import Glibc

/// Makes a new version of a large file of the blocks that have changed, without reading or copying the others.
///
/// The old content is there as a spare (``SpareFiles``) or by a reflink, and the digests of its blocks in its list (``BlockLists``). What
/// arrives is hashed; with the old digests of the other blocks that gives the digest of the whole, which has to be the announced one. The old file
/// is not touched.
struct LargeFilePatch {
    let lists: BlockLists
    let spares: SpareFiles

    /// False, and nothing made, where that is not possible: then the file is made by reading all of the old one.
    ///
    /// - Parameter old: what is in the old file, as this agent knows it.
    func isPossible(_ entry: TreeEntry, old: FileContent, runs: [ContentRun]) -> Bool {
        guard let new = entry.file, ContentDigest.isByBlocks(size: new.size), ContentDigest.isByBlocks(size: old.size), !new.isSparse,
            new.size <= BlockLists.sizeLimit
        else {
            return false
        }
        let block = UInt64(ContentDigest.blockSize)
        return runs.allSatisfy { run in
            let end = run.position + run.length
            // The digest of a last block that is not whole stands for that many bytes only.
            let isAligned = end % block == 0 || (end == new.size && new.size == old.size)
            return run.position == run.source && run.position % block == 0 && isAligned && end <= old.size
        }
    }

    /// Writes the pieces into a copy of the old file and verifies it; throws ``TreeSyncError/digestMismatch(path:)`` where it is not what was
    /// announced. False, and no piece read, where there is no copy to write into.
    func make(
        _ entry: TreeEntry, _ oldFile: Descriptor, old: FileContent, runs: [ContentRun], pieces: CountedSource, with writer: TreeWriter
    ) throws -> Bool {
        guard let new = entry.file, let list = lists.open(old.digest, size: old.size) else { return false }
        guard let aside = spares.take(old.digest, size: old.size) ?? spares.clone(of: oldFile) else { return false }
        try writer.patchFile(entry, aside: aside) { file in
            guard ftruncate(file.number, off_t(clamping: new.size)) == 0 else { throw TreeSyncError.last("sizing", entry.path) }
            let digest = try write(new, to: file, list, runs, pieces)
            guard digest == new.digest else { throw TreeSyncError.digestMismatch(path: TreePaths.text(entry.path)) }
        }
        return true
    }

    private func write(
        _ new: FileContent, to file: Descriptor, _ list: Descriptor, _ runs: [ContentRun], _ pieces: CountedSource
    ) throws -> Digest {
        var hasher = ContentHasher(size: new.size, list: try lists.writer(size: new.size))
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: Rsync.bufferSize, alignment: 16)
        defer { buffer.deallocate() }
        let block = UInt64(ContentDigest.blockSize)
        let leaf = UInt64(Digest.byteCount)
        var position: UInt64 = 0
        for run in runs + [ContentRun(position: new.size, length: 0, source: new.size)] {
            while position < run.position {
                let part = UnsafeMutableRawBufferPointer(rebasing: buffer.prefix(Int(min(UInt64(buffer.count), run.position - position))))
                try pieces.readFully(into: part)
                try file.writeFully(at: position, UnsafeRawBufferPointer(part))
                try hasher.update(UnsafeRawBufferPointer(part))
                position += UInt64(part.count)
            }
            var next = run.position / block * leaf
            let end = (run.position + run.length + block - 1) / block * leaf
            while run.length > 0, next < end {
                let part = UnsafeMutableRawBufferPointer(rebasing: buffer.prefix(Int(min(UInt64(buffer.count), end - next))))
                guard try list.readFully(at: next, into: part) else { throw TreeSyncError.digestMismatch(path: "") }
                try hasher.update(leaves: UnsafeRawBufferPointer(part))
                next += UInt64(part.count)
            }
            position = run.position + run.length
        }
        return try hasher.finalize()
    }
}
