import CLinux
import FarmAPI
import Glibc
import TreeSync

/// What arrived of transfers of one volume that did not end, kept for the next one.
///
/// While a transfer runs, a record beside its staging directory says what it is to bring: `tmp-<number>.wanted`, a delta manifest. When it
/// fails, or when the agent starts again after a crash, both become `kept-<number>` and `kept-<number>.wanted`. The next transfer of the volume,
/// from whatever holder, takes over what it still wants of it, by digest and after verifying it; when it has ended well, the rest is removed.
struct KeptTransfers: Sendable {
    static let prefix = "kept-"
    static let recordSuffix = ".wanted"
    /// Nobody seems to want the volume here any more; the disk has better uses.
    static let lifetime = 7 * 24 * 3600
    /// Of one volume; more come together only where transfers fail before they have taken over what is kept.
    static let limit = 4

    /// A fiftieth of the disk, and on a large one 2 GiB, is left to others: a few steps' worth.
    static let reservedShare: UInt64 = 50
    static let reservedBytes: UInt64 = 2 << 30

    /// The volume's.
    let directory: String

    /// Says what a transfer is to bring, before the first byte of it arrives.
    func begin(_ staging: String, _ delta: DeltaManifest) throws { try VolumeFiles.write(delta.encoded(), to: record(of: staging)) }

    /// Where that stands.
    func record(of staging: String) -> String { staging + Self.recordSuffix }

    /// The transfer has ended, and its directory is a layer or gone.
    func end(_ staging: String) { unlink(staging + Self.recordSuffix) }

    /// The transfer did not end, and nothing of it is worth keeping.
    func discard(_ staging: String) throws {
        end(staging)
        try RemoveTree.remove(staging)
    }

    /// The transfer did not end. Keeps what arrived.
    func keep(_ staging: String) throws {
        guard let name = staging.split(separator: "/").last, name.hasPrefix(VolumeStore.stagingPrefix) else { return }
        let kept = "\(directory)/\(Self.prefix)\(name.dropFirst(VolumeStore.stagingPrefix.count))"
        do {
            // Only both together are worth something; a crash in between leaves a record without a directory, which is removed.
            try VolumeFiles.rename(staging + Self.recordSuffix, kept + Self.recordSuffix)
            try VolumeFiles.rename(staging, kept)
            for name in try names().dropLast(Self.limit) { try remove(name) }
        } catch {
            unlink(staging + Self.recordSuffix)
            unlink(kept + Self.recordSuffix)
            try RemoveTree.remove(staging)
            throw error
        }
    }

    /// Removes of what is kept, the oldest first, as long as the disk is fuller than it may be for it: what may be of use must not keep
    /// steps from running.
    func makeRoom() throws {
        try makeRoom {
            var disk = clinux_filesystem()
            guard clinux_statfs(directory, &disk) == 0 else { return false }
            return disk.free_bytes < min(disk.total_bytes / Self.reservedShare, Self.reservedBytes)
        }
    }

    func makeRoom(while isNeeded: () -> Bool) throws {
        for name in try names() where isNeeded() {
            try RemoveTree.trim("\(directory)/\(name)", while: isNeeded)
            if try VolumeFiles.names(in: "\(directory)/\(name)").isEmpty { try remove(name) }
        }
    }

    /// What is there, the newest first. Files that can't be read are passed over.
    func contents() throws -> [ArrivedContents] {
        try names().reversed().compactMap { name in
            let path = "\(directory)/\(name)"
            return try? ArrivedContents(directory: path, record: try ManifestTable(file: record(of: path)))
        }
    }

    /// What is kept takes on the disk. Blocks; a look at each name.
    func bytes() -> Int64 {
        ((try? names()) ?? []).reduce(Int64(0)) { $0 + DiskUse.bytes(of: "\(directory)/\($1)") }
    }

    /// Removes everything that is kept.
    func removeAll() throws { for name in try names() { try remove(name) } }

    private func remove(_ name: String) throws {
        unlink("\(directory)/\(name)\(Self.recordSuffix)")
        try RemoveTree.remove("\(directory)/\(name)")
    }

    /// The directories, the oldest first.
    private func names() throws -> [String] {
        var found: [(name: String, age: Int)] = []
        for name in try VolumeFiles.names(in: directory) where name.hasPrefix(Self.prefix) && !name.hasSuffix(Self.recordSuffix) {
            found.append((name, age(name) ?? 0))
        }
        return found.sorted { ($0.age, $0.name) < ($1.age, $1.name) }.map(\.name)
    }

    /// When its record was written; nil for one that has none.
    private func age(_ name: String) -> Int? {
        var status = stat()
        guard lstat("\(directory)/\(name)\(Self.recordSuffix)", &status) == 0 else { return nil }
        return status.st_mtim.tv_sec
    }

    /// After a start of the agent: keeps the transfers that were under way, and returns the names in the volume's directory that are kept.
    func open(now: Int) throws -> Set<String> {
        for name in try VolumeFiles.names(in: directory)
        where name.hasPrefix(VolumeStore.stagingPrefix) && !name.hasSuffix(Self.recordSuffix) {
            let staging = "\(directory)/\(name)"
            if VolumeFiles.exists(staging + Self.recordSuffix) { try? keep(staging) }
        }
        var known: Set<String> = []
        for name in try names() {
            guard let written = age(name), now - written < Self.lifetime else { continue }
            known.formUnion([name, name + Self.recordSuffix])
        }
        return known
    }
}
