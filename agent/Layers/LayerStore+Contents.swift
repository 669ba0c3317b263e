import Digests
import FileTree
import Glibc

extension LayerStore {
    /// Notes which file contents a layer has, in its paths relative to the layer's root. Replaces nothing: the first call for a layer counts.
    ///
    /// For files made by COPY from the context; they are found again by ``findContent(_:)``, also after a restart.
    public func recordContents(_ layer: Digest, _ files: [(digest: Digest, path: [UInt8])]) throws {
        let name = try pin([layer])[0]
        defer { unpin([layer]) }
        guard !files.isEmpty, access(contentsPath(name), F_OK) != 0 else { return }
        var sorted = files.sorted { $0.digest < $1.digest }
        var last: Digest?
        sorted.removeAll { file in
            defer { last = file.digest }
            return file.digest == last
        }
        // The ends of the paths are 32 bits; what is beyond, of millions of files, is merely not found again.
        var total = 0
        sorted = Array(
            sorted.prefix { file in
                total += file.path.count
                return total <= Int(UInt32.max)
            })
        var bytes: [UInt8] = []
        bytes.reserveCapacity(8 + sorted.count * 100)
        withUnsafeBytes(of: UInt64(sorted.count).littleEndian) { bytes += $0 }
        for file in sorted { file.digest.withUnsafeBytes { bytes += $0 } }
        var end: UInt32 = 0
        for file in sorted {
            end += UInt32(file.path.count)
            withUnsafeBytes(of: end.littleEndian) { bytes += $0 }
        }
        for file in sorted { bytes += file.path }
        let temporary = directory + "/" + temporaryName()
        try SmallFile.write(bytes, to: temporary)
        guard rename(temporary, contentsPath(name)) == 0 else { throw LayerStoreError.call("rename", temporary) }
        contents.add(name)
    }

    /// The path of a file with this content in one of the layers, in ``directory``; nil where none is known.
    ///
    /// To be hard-linked, which fails if the layer is removed at that moment: fetch the content then. Only for a file that shall have the
    /// same mode, owner and time, since links share them; and once a layer, since two names of one inode are hard links in its archive.
    public func findContent(_ digest: Digest) -> [UInt8]? {
        guard let (layer, file) = contents.find(digest, path: contentsPath) else { return nil }
        return Array("\(directory)/\(layer)/".utf8) + file
    }
}
