import FileTree
import Glibc

/// Who owns a file.
struct Owner: Hashable, Sendable {
    var uid: UInt32
    var gid: UInt32

    static let root = Owner(uid: 0, gid: 0)
}

/// Turns `--chown`'s `user[:group]` into numbers, by the image's own files.
///
/// A number is taken as it is and need not be in the files. Without a group, a number is its own group, and a name has the group that
/// /etc/passwd gives it: as BuildKit does.
struct OwnerResolver {
    /// Larger than any user database in an image; the files are hostile and are read whole.
    static let fileLimit = 4 << 20

    let resolver: RootResolver

    func owner(_ text: String) throws -> Owner {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        guard !parts.isEmpty, parts.allSatisfy({ !$0.isEmpty }) else { throw FileStepError.invalidOwner(text) }
        var owner: Owner
        if let number = try number(parts[0], in: text) {
            owner = Owner(uid: number, gid: number)
        } else {
            guard let fields = try line("etc/passwd", parts[0], minimum: 4), let uid = UInt32(fields[2]), let gid = UInt32(fields[3])
            else { throw FileStepError.unknownUser(parts[0]) }
            owner = Owner(uid: uid, gid: gid)
        }
        guard parts.count == 2 else { return owner }
        if let number = try number(parts[1], in: text) {
            owner.gid = number
        } else {
            guard let fields = try line("etc/group", parts[1], minimum: 3), let gid = UInt32(fields[2]) else {
                throw FileStepError.unknownGroup(parts[1])
            }
            owner.gid = gid
        }
        return owner
    }

    // The highest number means "unchanged" to the kernel.
    private func number(_ part: String, in text: String) throws -> UInt32? {
        guard part.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        guard let number = UInt32(part), number < UInt32.max else { throw FileStepError.invalidOwner(text) }
        return number
    }

    // The fields of the first line that begins with the name and has as many.
    private func line(_ path: String, _ name: String, minimum: Int) throws -> [String]? {
        let place = try resolver.resolve(Array(path.utf8))
        guard place.status?.kind == .file else { return nil }
        let content = try resolver.open(place.path, flags: O_RDONLY | O_NONBLOCK).readAll(limit: Self.fileLimit)
        for line in content.split(separator: UInt8(ascii: "\n")) where line.starts(with: name.utf8) {
            let fields = line.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
            guard fields.count >= minimum, fields[0].elementsEqual(name.utf8) else { continue }
            return fields.map { String(decoding: $0, as: UTF8.self) }
        }
        return nil
    }
}
