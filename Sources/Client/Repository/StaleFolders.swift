import FileTree
import Glibc

/// Folders of the user's cache that nobody has used for long. Removing them only costs time later.
enum StaleFolders {
    /// What is being removed has this in its name: nobody takes it for a folder of a repository, and what was interrupted goes on.
    private static let suffix = ".removed"

    /// Removes a folder of checkouts whose locks were all last touched longer ago than `seconds`. Blocks while files are removed; errors
    /// are of no interest to who submits a build.
    ///
    /// - Parameters:
    ///   - gate: an open file that those who take a folder hold a shared lock of meanwhile. It is unlocked afterwards.
    ///   - kept: the name of one that stays.
    static func removeOne(in directory: String, gate: Int32, keeping kept: String, unusedFor seconds: Int64) {
        guard flock(gate, LOCK_EX | LOCK_NB) == 0 else { return }
        let found = takeAway(in: directory, keeping: kept, unusedFor: seconds)
        flock(gate, LOCK_UN)
        if let found { try? TreeRemoval.remove(found) }
    }

    private static func takeAway(in directory: String, keeping kept: String, unusedFor seconds: Int64) -> String? {
        let names = names(in: directory).filter { $0 != kept }
        if let interrupted = names.first(where: { $0.hasSuffix(suffix) }) { return "\(directory)/\(interrupted)" }
        let limit = Int64(time(nil)) - seconds
        for name in names {
            let folder = "\(directory)/\(name)"
            guard let last = lastUse(of: folder), last < limit, isUnused(folder) else { continue }
            if rename(folder, folder + suffix) == 0 { return folder + suffix }
        }
        return nil
    }

    /// The newest time of a lock; nil where there is none: it is no folder of ours.
    private static func lastUse(of folder: String) -> Int64? {
        names(in: folder).compactMap { slot -> Int64? in
            var info = stat()
            return lstat("\(folder)/\(slot)/lock", &info) == 0 ? Int64(info.st_mtim.tv_sec) : nil
        }.max()
    }

    /// Whether nobody uses any of its slots at this moment.
    private static func isUnused(_ folder: String) -> Bool {
        names(in: folder).allSatisfy { slot in
            let descriptor = open("\(folder)/\(slot)/lock", O_RDWR | O_CLOEXEC)
            guard descriptor >= 0 else { return errno == ENOENT || errno == ENOTDIR }
            defer { close(descriptor) }
            return flock(descriptor, LOCK_EX | LOCK_NB) == 0
        }
    }

    private static func names(in directory: String) -> [String] {
        guard let stream = opendir(directory) else { return [] }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: Int(NAME_MAX) + 1) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }
}
