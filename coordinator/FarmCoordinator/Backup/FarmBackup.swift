import BuildPlan
import Daemon
import Digests
import FarmAPI
import Glibc
import Store

/// `farm-coordinator backup`: a directory from which a coordinator can be made again. Everything here blocks.
///
/// It is written aside and gets its name when it is whole, checked, and on the disk. A coordinator that runs meanwhile is not disturbed.
public struct FarmBackup: Sendable {
    /// Also what others must never see: the keys of the authority, the coordinator and the first client, and the grant key.
    public var keys = true
    /// Also the layers of imported images.
    public var images = true

    /// A backup of everything.
    public init() {}

    /// What was made, for people.
    public struct Made: Sendable {
        public var summary: String
        public var warnings: [String]
    }

    /// - Parameter target: a directory that is not there yet; the one above it must be.
    public func write(_ configuration: CoordinatorConfiguration, to target: String, now: Timestamp = .now) throws -> Made {
        let target = Self.withoutSlash(target)
        var info = stat()
        guard lstat(target, &info) != 0 else { throw SetupError.exists(target) }
        let aside = "\(target).\(getpid()).new"
        guard mkdir(aside, 0o700) == 0 else { throw SetupError.failed("make directory", aside, errno) }
        do {
            let made = try fill(aside, configuration, now)
            try Self.synchronize(aside)
            // Never onto another one that has come meanwhile, unless that is empty.
            guard rename(aside, target) == 0 else { throw SetupError.failed("rename", aside, errno) }
            try FileAccess.synchronize(Self.parent(of: target))
            return made
        } catch {
            try? FileAccess.removeTree(aside)
            throw error
        }
    }

    private func fill(_ aside: String, _ configuration: CoordinatorConfiguration, _ now: Timestamp) throws -> Made {
        let layout = DataLayout(data: configuration.data)
        let target = DataLayout(data: aside)
        var warnings: [String] = []
        var linked: Set<Digest> = []
        func linkLayers(_ wanted: Set<Digest>) throws {
            for layer in wanted.subtracting(linked) {
                try PlainFile.linkOrCopy("\(layout.layers)/\(layer.hex)", to: "\(target.layers)/\(layer.hex)")
                linked.insert(layer)
            }
        }
        if images {
            try FileAccess.makeDirectories(target.layers, mode: 0o700)
            // Before the database: what it names then can't be removed any more before it is here.
            if access(layout.layers, F_OK) == 0 {
                try linkLayers(Set(try FileAccess.names(in: layout.layers).compactMap { Digest(hex: $0) }))
            }
        }
        try StoreCopy.write(of: layout.database, to: target.database, now: now)
        guard chmod(target.database, 0o600) == 0 else { throw SetupError.failed("write", target.database, errno) }
        if images {
            let named = try StoreCopy.imageLayers(of: target.database)
            do { try linkLayers(named) } catch {
                warnings.append("a layer of an image is not in the backup, because it is not in the data directory either: \(error)")
            }
            for layer in linked.subtracting(named) { unlink("\(target.layers)/\(layer.hex)") }
        }
        var files: [BackupManifest.File] = []
        for (path, name, isSecret) in wanted(configuration) where keys || !isSecret {
            guard let status = try PlainFile.status(path) else {
                if isSecret { warnings.append("\(path) is not there, and not in the backup: keep it where it is") }
                continue
            }
            try FileAccess.makeDirectories(Self.parent(of: "\(aside)/\(name)"), mode: 0o700)
            let mode: mode_t = isSecret ? 0o600 : status.mode & 0o644 | 0o600
            let copy = try PlainFile.copy(path, to: "\(aside)/\(name)", mode: mode)
            files.append(BackupManifest.File(path: name, size: copy.size, digest: copy.digest, mode: mode))
        }
        let facts = try StoreCopy.facts(of: target.database)
        let size = try PlainFile.status(target.database)?.size ?? 0
        files.append(
            BackupManifest.File(
                path: BackupManifest.database, size: size, digest: try PlainFile.digest(of: target.database), mode: 0o600))
        let manifest = BackupManifest(version: farmVersion, takenAt: now, hasKeys: keys, hasImages: images, files: files)
        try FileAccess.create("\(aside)/\(BackupManifest.name)", with: try FarmJSON.encodePretty(manifest), mode: 0o600)
        if keys {
            warnings.append(
                "it has the keys of the farm: who can read it can join the farm and sign certificates. Keep it as you keep them")
        } else {
            warnings.append("it has no keys: keep those of the data directory by other means, a restored farm needs them")
        }
        return Made(
            summary: "\(facts.builds) builds (\(facts.openBuilds) of them under way), \(facts.records) records, \(facts.volumes) volumes, "
                + "\(linked.count) layers of images; database of \(ByteCount.format(size)), checked", warnings: warnings)
    }

    /// Files beside the database: where they are, where they go, and whether nobody else may see them.
    private func wanted(_ configuration: CoordinatorConfiguration) -> [(path: String, name: String, isSecret: Bool)] {
        // The names that a data directory gives.
        let names = DataLayout(data: "")
        func name(_ path: String) -> String { String(path.dropFirst()) }
        var files = [
            (configuration.authority, name(names.authority), false), (configuration.authorityKey, name(names.authorityKey), true),
            (configuration.certificate, name(names.certificate), false), (configuration.key, name(names.key), true),
            (configuration.grantKey, name(names.grantKey), true),
        ]
        if access(configuration.tokens, F_OK) == 0 { files.append((configuration.tokens, name(names.tokens), true)) }
        let clients = "\(configuration.data)/clients"
        for file in (try? PlainFile.files(below: clients)) ?? [] {
            files.append(("\(clients)/\(file)", "clients/\(file)", file.hasSuffix("key.pem")))
        }
        return files
    }

    static func parent(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    static func withoutSlash(_ path: String) -> String {
        var path = path
        while path.count > 1, path.hasSuffix("/") { path.removeLast() }
        return path
    }

    /// Names in directories are on the disk when these are.
    static func synchronize(_ directory: String) throws {
        for name in try FileAccess.names(in: directory) {
            let path = "\(directory)/\(name)"
            var info = stat()
            guard lstat(path, &info) == 0 else { continue }
            if info.st_mode & S_IFMT == S_IFDIR { try synchronize(path) } else { try FileAccess.synchronize(path) }
        }
        try FileAccess.synchronize(directory)
    }
}
