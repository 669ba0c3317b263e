/// Users and groups as an image's /etc/passwd and /etc/group have them. Both are hostile: lines that make no sense are passed over, as
/// libc does.
public enum UserFiles {
    /// Bytes of either file, which is read whole: far more than any image has.
    public static let sizeLimit = 4 << 20

    /// A line of /etc/passwd.
    public struct User: Hashable, Sendable {
        /// Not empty.
        public var name: String
        public var uid: UInt32
        /// Of the user's own group.
        public var gid: UInt32
        /// As it is written; may be empty.
        public var home: String
    }

    /// A line of /etc/group.
    public struct Group: Hashable, Sendable {
        /// Not empty.
        public var name: String
        public var gid: UInt32
        /// Names of users that are in it beside those whose own group it is.
        public var members: [String]
    }

    /// The users of a passwd file, in its order.
    public static func users(in passwd: [UInt8]) -> [User] {
        lines(of: passwd, fields: 4).compactMap { fields in
            guard let uid = id(fields[2]), let gid = id(fields[3]) else { return nil }
            return User(name: text(fields[0]), uid: uid, gid: gid, home: fields.count > 5 ? text(fields[5]) : "")
        }
    }

    /// The groups of a group file, in its order.
    public static func groups(in group: [UInt8]) -> [Group] {
        lines(of: group, fields: 3).compactMap { fields in
            guard let gid = id(fields[2]) else { return nil }
            let members = fields.count > 3 ? fields[3].split(separator: UInt8(ascii: ",")).map(text) : []
            return Group(name: text(fields[0]), gid: gid, members: members)
        }
    }

    private static func lines(of file: [UInt8], fields minimum: Int) -> [[ArraySlice<UInt8>]] {
        file.split(separator: UInt8(ascii: "\n")).compactMap { line in
            let fields = line.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
            return fields.count >= minimum && !fields[0].isEmpty ? fields : nil
        }
    }

    /// A user's or group's number. The highest one means "unchanged" to the kernel and is nobody's.
    public static func id(_ digits: some Sequence<UInt8>) -> UInt32? { UInt32(text(digits)).flatMap { $0 < UInt32.max ? $0 : nil } }

    private static func text(_ bytes: some Sequence<UInt8>) -> String { String(decoding: Array(bytes), as: UTF8.self) }
}
