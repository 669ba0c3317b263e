import FarmAPI
import Glibc
import TreeSync

/// What a volume's directory has beside its layers: bytes on the disk.
struct VolumeExtras: Sendable, Equatable {
    /// Copies of large files, see ``SpareFiles``.
    var spares: Int64 = 0
    /// Lists of their blocks.
    var lists: Int64 = 0
    /// Of transfers that did not end, see ``KeptTransfers``.
    var kept: Int64 = 0

    var sum: Int64 { spares + lists + kept }
}

// What this agent has for speed only: spares of large files, and what transfers brought that did not end.
extension VolumeStore {
    /// The spares of a volume's large files.
    func spareFiles(of key: VolumeKey) -> SpareFiles { spareFiles(in: directory(of: key)) }

    private func spareFiles(in volume: String) -> SpareFiles {
        SpareFiles(directory: "\(volume)/\(Self.sparesName)", smallest: settings.smallestSpare, reserve: settings.spareReserve)
    }

    /// Bytes of all volumes beside their newest generations: of older versions below these, spares, lists of blocks, kept transfers.
    func extraBytes() -> Int64 {
        let others = extras.withLock { $0.values.reduce(Int64(0)) { $0 + $1.sum } }
        return others &+ hiddenBytes()
    }

    /// Notes what a volume's directory has beside its layers. Blocks: a look at each name that is kept of a transfer, of which there are
    /// seldom any.
    func measureExtras(of key: VolumeKey) { measureExtras(in: directory(of: key)) }

    func measureExtras(in volume: String) {
        var found = VolumeExtras()
        found.spares = spareFiles(in: volume).all().reduce(0) { $0 + $1.bytes }
        found.lists = DiskUse.bytes(of: "\(volume)/\(Self.listsName)")
        found.kept = KeptTransfers(directory: volume).bytes()
        extras.withLock { $0[volume] = found.sum > 0 ? found : nil }
    }

    /// Removes spares, those first that were made first, then what is kept of transfers, until so many bytes are free. Spares are made again
    /// after the next step that publishes, where there is room; of a volume that is being brought just now everything stays. Blocks.
    /// - Returns: the bytes that are free now.
    func giveBackSpares(_ bytes: Int64) -> Int64 {
        let volumes = extras.withLock { Array($0.keys) }
        var freed: Int64 = 0
        for spare in volumes.flatMap({ spareFiles(in: $0).all() }).sorted(by: { $0.made < $1.made }) where freed < bytes {
            if unlink(spare.path) == 0 { freed += spare.bytes }
        }
        for volume in volumes {
            if freed < bytes, !isBringing(volume) {
                let kept = KeptTransfers(directory: volume)
                let before = kept.bytes()
                // What can't be removed is no worse than before.
                try? kept.removeAll()
                freed += before - kept.bytes()
            }
            measureExtras(in: volume)
        }
        return freed
    }

    // MARK: Transfers under way

    /// What is kept of the volume's transfers is wanted from now on.
    func beginBringing(_ key: VolumeKey) { bringing.withLock { $0[directory(of: key), default: 0] += 1 } }

    /// The opposite.
    func endBringing(_ key: VolumeKey) {
        let volume = directory(of: key)
        bringing.withLock { $0[volume] = $0[volume].flatMap { $0 > 1 ? $0 - 1 : nil } }
    }

    private func isBringing(_ volume: String) -> Bool { bringing.withLock { $0[volume] != nil } }
}

/// What files take on a disk.
enum DiskUse {
    /// Bytes of a directory's files, and of the directories in it. Files that have names elsewhere do not count: they are there anyway. What
    /// can't be read counts as nothing. Blocks; a system call a name.
    static func bytes(of directory: String) -> Int64 {
        var sum: Int64 = 0
        for name in (try? VolumeFiles.names(in: directory)) ?? [] {
            let path = "\(directory)/\(name)"
            var status = stat()
            guard lstat(path, &status) == 0 else { continue }
            switch status.st_mode & S_IFMT {
            case S_IFDIR: sum += Int64(status.st_blocks) * 512 + bytes(of: path)
            case S_IFREG where status.st_nlink == 1: sum += Int64(status.st_blocks) * 512
            default: break
            }
        }
        return sum
    }
}
