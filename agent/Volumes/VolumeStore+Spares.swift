import FarmAPI
import Glibc
import TreeSync

// Spares of large files: what this agent has twice, for speed only.
extension VolumeStore {
    /// The spares of a volume's large files.
    func spareFiles(of key: VolumeKey) -> SpareFiles {
        SpareFiles(
            directory: "\(directory(of: key))/\(Self.sparesName)", smallest: settings.smallestSpare, reserve: settings.spareReserve)
    }

    /// Bytes of all spares here.
    func spareBytes() -> Int64 { spareSizes.withLock { $0.values.reduce(0, +) } }

    /// Notes what the spares of a volume take. Blocks.
    func measureSpares(of key: VolumeKey) {
        let bytes = spareFiles(of: key).all().reduce(Int64(0)) { $0 + $1.bytes }
        spareSizes.withLock { $0[key] = bytes > 0 ? bytes : nil }
    }

    /// Removes spares, those first that were made first, until so many bytes are free. They are made again after the next step that
    /// publishes, where there is room. Blocks.
    /// - Returns: the bytes that are free now.
    func giveBackSpares(_ bytes: Int64) -> Int64 {
        let keys = spareSizes.withLock { Array($0.keys) }
        var freed: Int64 = 0
        for spare in keys.flatMap({ spareFiles(of: $0).all() }).sorted(by: { $0.made < $1.made }) where freed < bytes {
            if unlink(spare.path) == 0 { freed += spare.bytes }
        }
        for key in keys { measureSpares(of: key) }
        return freed
    }
}
