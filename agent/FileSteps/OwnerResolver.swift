import BuildPlan
import FileTree
import Glibc

/// Who owns a file.
struct Owner: Hashable, Sendable {
    var uid: UInt32
    var gid: UInt32

    static let root = Owner(uid: 0, gid: 0)
}

/// Whom a file gets for an owner; nil leaves what it has.
struct OwnerChange: Hashable, Sendable {
    var uid: UInt32?
    var gid: UInt32?

    /// The owner that comes out.
    func applied(to owner: Owner) -> Owner { Owner(uid: uid ?? owner.uid, gid: gid ?? owner.gid) }
}

/// Turns `--chown`'s `user[:group]` into numbers, by the image's own files.
///
/// A number is taken as it is and need not be in the files. Without a group, a number is its own group, and a name has the group that
/// /etc/passwd gives it: as BuildKit does. `user:` and `:group` say one and leave the other.
struct OwnerResolver {
    let resolver: RootResolver

    func owner(_ text: String) throws -> OwnerChange {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        guard parts.contains(where: { !$0.isEmpty }) else { throw FileStepError.invalidOwner(text) }
        var owner = OwnerChange()
        if let number = try number(parts[0], in: text) {
            owner = OwnerChange(uid: number, gid: number)
        } else if !parts[0].isEmpty {
            let users = UserFiles.users(in: try content("etc/passwd"))
            guard let user = users.first(where: { $0.name == parts[0] }) else { throw FileStepError.unknownUser(parts[0]) }
            owner = OwnerChange(uid: user.uid, gid: user.gid)
        }
        guard parts.count == 2 else { return owner }
        owner.gid = nil
        if parts[1].isEmpty { return owner }
        if let number = try number(parts[1], in: text) {
            owner.gid = number
        } else {
            let groups = UserFiles.groups(in: try content("etc/group"))
            guard let group = groups.first(where: { $0.name == parts[1] }) else { throw FileStepError.unknownGroup(parts[1]) }
            owner.gid = group.gid
        }
        return owner
    }

    private func number(_ part: String, in text: String) throws -> UInt32? {
        guard !part.isEmpty, part.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        guard let number = UserFiles.id(part.utf8) else { throw FileStepError.invalidOwner(text) }
        return number
    }

    // Of a regular file; nothing where there is none.
    private func content(_ path: String) throws -> [UInt8] {
        let place = try resolver.resolve(Array(path.utf8))
        guard place.status?.kind == .file else { return [] }
        return try resolver.open(place.path, flags: O_RDONLY | O_NONBLOCK).readAll(limit: UserFiles.sizeLimit)
    }
}
