import BuildPlan

/// Turns a step's `user[:group]` into what it runs as, by the image's own files.
struct UserDatabase {
    /// The kernel's own (NGROUPS_MAX) is 65,536; a runtime's arguments need not be that long.
    static let groupLimit = 1024

    /// As what a step runs.
    struct Identity: Hashable, Sendable {
        var uid: UInt32
        var gid: UInt32
        var supplementaryGroups: [UInt32]
        var home: String
    }

    private let users: [UserFiles.User]
    private let groups: [UserFiles.Group]

    /// - Parameters:
    ///   - passwd: the content of /etc/passwd, empty where there is none.
    ///   - group: the content of /etc/group.
    init(passwd: [UInt8], group: [UInt8]) {
        users = UserFiles.users(in: passwd)
        groups = UserFiles.groups(in: group)
    }

    /// Reads both files of a root, following symbolic links inside it only. Blocking.
    init(root: String) throws(SandboxError) {
        func content(_ path: String) throws(SandboxError) -> [UInt8] {
            let place = root + (try RootPath.resolve(path, in: root))
            return try Files.read(place, limit: UserFiles.sizeLimit) ?? []
        }
        self.init(passwd: try content("/etc/passwd"), group: try content("/etc/group"))
    }

    /// Resolves `user[:group]`, names or numbers; nil is root. A number need not be in the files, a name must.
    ///
    /// Without a group the user's own and the groups that name it as a member count; with one that alone.
    func identity(of text: String?) throws(SandboxError) -> Identity {
        let text = text ?? "0"
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        let userText = parts.first ?? ""
        let user: UserFiles.User?
        var uid: UInt32
        // A name of digits alone is a number first: that is how Docker and the runtimes read it.
        if let number = UInt32(userText) {
            uid = number
            user = users.first { $0.uid == number }
        } else if let found = users.first(where: { $0.name == userText }) {
            uid = found.uid
            user = found
        } else {
            throw .badUser("user '\(userText)' is not in the image's /etc/passwd; create it in an earlier step or give its number")
        }
        uid = user?.uid ?? uid
        let home = user.map(\.home).flatMap { $0.hasPrefix("/") ? $0 : nil } ?? "/"
        if parts.count == 2, !parts[1].isEmpty {
            let gid = try group(parts[1])
            return Identity(uid: uid, gid: gid, supplementaryGroups: [gid], home: home)
        }
        let gid = user?.gid ?? 0
        var gids = [gid]
        if let user {
            for group in groups where group.members.contains(user.name) && !gids.contains(group.gid) && gids.count < Self.groupLimit {
                gids.append(group.gid)
            }
        }
        return Identity(uid: uid, gid: gid, supplementaryGroups: gids, home: home)
    }

    private func group(_ text: Substring) throws(SandboxError) -> UInt32 {
        if let number = UInt32(text) { return number }
        guard let found = groups.first(where: { $0.name == text }) else {
            throw .badUser("group '\(text)' is not in the image's /etc/group; create it in an earlier step or give its number")
        }
        return found.gid
    }
}
