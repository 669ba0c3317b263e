import BuildPlan
import Daemon
import Digests
import FarmAPI
import Glibc
import Store

/// `farm-coordinator restore`: makes a data directory of a backup. Everything here blocks.
///
/// All is checked before anything is written; the database comes last, so that a restoration that was interrupted is no farm.
public struct FarmRestoration: Sendable {
    let backup: String
    let data: String

    /// - Parameters:
    ///   - backup: what ``FarmBackup`` wrote.
    ///   - data: an empty directory, or none.
    public init(from backup: String, to data: String) {
        self.backup = FarmBackup.withoutSlash(backup)
        self.data = FarmBackup.withoutSlash(data)
    }

    /// Checks and restores; what it says is for people.
    public func run() throws -> [String] {
        let manifest = try BackupManifest.read(in: backup)
        try check(manifest)
        let database = "\(backup)/\(BackupManifest.database)"
        let facts = try StoreCopy.inspect(database)
        let named = try StoreCopy.imageLayers(of: database)
        let layers = try checkedLayers(named)
        let existing = try emptyDirectory()
        do {
            try copy(manifest, layers)
        } catch {
            for name in (try? FileAccess.names(in: data)) ?? [] where name != Self.lostAndFound {
                try? FileAccess.removeTree("\(data)/\(name)")
            }
            if !existing { rmdir(data) }
            throw error
        }
        return try report(manifest, facts, missing: named.subtracting(layers))
    }

    private func check(_ manifest: BackupManifest) throws {
        for file in manifest.files {
            let path = "\(backup)/\(file.path)"
            guard let status = try PlainFile.status(path) else { throw BackupError.damaged(path, "it is missing") }
            guard status.size == file.size else { throw BackupError.damaged(path, "it has \(status.size) bytes instead of \(file.size)") }
            guard try PlainFile.digest(of: path) == file.digest else {
                throw BackupError.damaged(path, "its content is not what was saved")
            }
        }
    }

    /// Those that are there and are what their names say.
    private func checkedLayers(_ wanted: Set<Digest>) throws -> Set<Digest> {
        try wanted.filter { layer in
            let path = "\(backup)/\(BackupManifest.layers)/\(layer.hex)"
            guard try PlainFile.status(path) != nil else { return false }
            guard try PlainFile.digest(of: path) == layer else { throw BackupError.damaged(path, "its content is not what its name says") }
            return true
        }
    }

    /// Of a file system's own.
    private static let lostAndFound = "lost+found"

    /// - Returns: whether it was there before.
    private func emptyDirectory() throws -> Bool {
        if mkdir(data, 0o700) == 0 { return false }
        guard errno == EEXIST else {
            guard errno == ENOENT else { throw SetupError.failed("make directory", data, errno) }
            try FileAccess.makeDirectories(data, mode: 0o700)
            return false
        }
        guard try FileAccess.names(in: data).allSatisfy({ $0 == Self.lostAndFound }) else { throw BackupError.notEmpty(data) }
        return true
    }

    private func copy(_ manifest: BackupManifest, _ layers: Set<Digest>) throws {
        let layout = DataLayout(data: data)
        for directory in layout.directories { try FileAccess.makeDirectories(directory, mode: 0o700) }
        for layer in layers {
            _ = try PlainFile.copy("\(backup)/\(BackupManifest.layers)/\(layer.hex)", to: "\(layout.layers)/\(layer.hex)")
        }
        for file in manifest.files where file.path != BackupManifest.database {
            try FileAccess.makeDirectories(FarmBackup.parent(of: "\(data)/\(file.path)"), mode: 0o700)
            try copy(file, to: "\(data)/\(file.path)")
        }
        guard let database = manifest.files.first(where: { $0.path == BackupManifest.database }) else { return }
        let aside = layout.database + ".new"
        try copy(database, to: aside)
        try FarmBackup.synchronize(data)
        // Not by a rename: a coordinator that was started here meanwhile has made one of its own.
        guard link(aside, layout.database) == 0 else {
            if errno == EEXIST { throw BackupError.notEmpty(data) }
            throw SetupError.failed("create", layout.database, errno)
        }
        unlink(aside)
        try FileAccess.synchronize(data)
    }

    private func copy(_ file: BackupManifest.File, to target: String) throws {
        let copy = try PlainFile.copy("\(backup)/\(file.path)", to: target, mode: mode_t(file.mode & 0o666))
        // It was right a moment ago.
        guard copy.digest == file.digest else { throw BackupError.damaged("\(backup)/\(file.path)", "it changed while it was read") }
    }

    private func report(_ manifest: BackupManifest, _ facts: StoreCopy.Facts, missing: Set<Digest>) throws -> [String] {
        var lines = [
            "restored into \(data): the farm as of \(manifest.takenAt), with \(facts.builds) builds, \(facts.records) records and "
                + "\(facts.volumes) volumes"
        ]
        if facts.openBuilds > 0 {
            lines.append("\(facts.openBuilds) builds were under way: they will be shown as failed; submit them again")
        }
        let tokens = try TokenStore.names(in: DataLayout(data: data).tokens)
        if !tokens.isEmpty {
            lines.append(
                "these tokens are good (again): \(tokens.joined(separator: ", ")); remove lines of `tokens` that were revoked since")
        }
        if !missing.isEmpty {
            lines.append(
                "\(missing.count) layers of images are not in the backup: import these images again (`farm image list` names them)")
        }
        if !manifest.hasKeys { lines.append("the backup has no keys: bring authority, certificate, key and grants.pem to their places") }
        lines.append("start the coordinator; agents join by themselves and tell what they have")
        return lines
    }
}
