import BuildPlan
import Digests
import FarmAPI

/// What is in a backup's directory: the file `backup.json` there, written last.
struct BackupManifest: Codable, Sendable {
    static let name = "backup.json"
    static let currentFormat = 1
    static let database = "farm.sqlite"
    /// Layers of images, named by the hexadecimal digits of their digests, which need not be listed.
    static let layers = "images/layers"

    /// One file of the backup.
    struct File: Codable, Sendable {
        /// Below the backup's directory, and there below the data directory.
        var path: String
        var size: Int64
        var digest: Digest
        /// Permissions.
        var mode: UInt32
    }

    var format = BackupManifest.currentFormat
    /// The program that made it.
    var version: String
    var takenAt: Timestamp
    var hasKeys: Bool
    var hasImages: Bool
    var files: [File]

    /// Reads and checks the list. Throws ``BackupError``.
    static func read(in directory: String) throws -> BackupManifest {
        let path = "\(directory)/\(name)"
        guard let bytes = try FileAccess.read(path) else {
            throw BackupError.noBackup(directory, "it has no \(name): was the backup interrupted, or is it another directory?")
        }
        guard let manifest = try? FarmJSON.decode(BackupManifest.self, from: bytes) else {
            throw BackupError.damaged(path, "it can't be read")
        }
        guard manifest.format <= currentFormat else {
            throw BackupError.noBackup(directory, "it was made by a newer version (\(manifest.version)): restore it with that version")
        }
        for file in manifest.files where !isHarmless(file.path) {
            throw BackupError.damaged(path, "it names '\(file.path)', which is no file of a data directory")
        }
        guard manifest.files.contains(where: { $0.path == database }) else { throw BackupError.damaged(path, "it names no database") }
        return manifest
    }

    /// A backup may come from anywhere: none of its names leads out of the directory.
    private static func isHarmless(_ path: String) -> Bool {
        let parts = path.split(separator: "/", omittingEmptySubsequences: false)
        return !parts.isEmpty && parts.allSatisfy { !$0.isEmpty && $0 != "." && $0 != ".." } && !path.utf8.contains(0)
    }
}

/// Why a backup could not be made or restored.
public enum BackupError: Error, Sendable, CustomStringConvertible {
    case noBackup(String, String)
    case damaged(String, String)
    case notEmpty(String)
    case failed(String)

    public var description: String {
        switch self {
        case .noBackup(let path, let reason): "\(path) is no backup that can be restored: \(reason)"
        case .damaged(let path, let reason): "\(path) is damaged: \(reason). Nothing was restored; use another backup"
        case .notEmpty(let path):
            "\(path) is not empty: a backup is restored into an empty directory only. Move away what is there, or give another --data"
        case .failed(let text): text
        }
    }
}
