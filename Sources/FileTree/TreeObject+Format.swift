import Digests

// docs/formats.md, "Directory object".
extension TreeObject {
    private static let magic: [UInt8] = Array("FTO1".utf8)
    // kind, mode, modified, length of the name, one byte of name.
    private static let smallestEntry = 1 + 2 + 8 + 2 + 1

    private enum Code {
        static let file: UInt8 = 1
        static let directory: UInt8 = 2
        static let symlink: UInt8 = 3
        static let fifo: UInt8 = 4
    }

    /// The bytes that stand for this directory: the same for equal directories.
    public func encoded() -> [UInt8] {
        var bytes = [UInt8]()
        bytes.reserveCapacity(8 + entries.reduce(0) { $0 + 64 + $1.name.count })
        bytes.append(contentsOf: Self.magic)
        bytes.append(UInt32(entries.count))
        for entry in entries {
            let code =
                switch entry.content {
                case .file: Code.file
                case .directory: Code.directory
                case .symlink: Code.symlink
                case .fifo: Code.fifo
                }
            bytes.append(code)
            bytes.append(entry.mode)
            bytes.append(UInt64(bitPattern: entry.modified))
            bytes.append(UInt16(entry.name.count))
            bytes.append(contentsOf: entry.name)
            switch entry.content {
            case .file(let digest, let size):
                bytes.append(size)
                bytes.append(digest)
            case .directory(let digest): bytes.append(digest)
            case .symlink(let target):
                bytes.append(UInt16(target.count))
                bytes.append(contentsOf: target)
            case .fifo: break
            }
        }
        return bytes
    }

    /// Reads an encoding, from whoever it comes. Throws ``FileTreeError/malformed(what:reason:)`` for anything that ``encoded()`` does not write.
    public init(decoding bytes: [UInt8]) throws {
        var reader = ByteReader(bytes, what: "directory object")
        guard try reader.take(4).elementsEqual(Self.magic) else { throw reader.error("it does not begin with FTO1") }
        let count = Int(try reader.integer(UInt32.self))
        guard count <= Self.entryLimit, count <= reader.remaining / Self.smallestEntry else {
            throw reader.error("\(count) entries do not fit into it")
        }
        var entries: [TreeEntry] = []
        entries.reserveCapacity(count)
        for _ in 0..<count {
            let entry = try Self.entry(&reader)
            if let last = entries.last, !precedes(last.name, entry.name) { throw reader.error("names are not in ascending order") }
            entries.append(entry)
        }
        guard reader.remaining == 0 else { throw reader.error("\(reader.remaining) bytes follow the last entry") }
        self.init(sorted: entries)
    }

    private init(sorted entries: [TreeEntry]) { self.entries = entries }

    private static func entry(_ reader: inout ByteReader) throws -> TreeEntry {
        let code = try reader.integer(UInt8.self)
        let mode = try reader.integer(UInt16.self)
        guard mode <= 0o7777 else { throw reader.error("a mode is beyond 07777") }
        let modified = Int64(bitPattern: try reader.integer(UInt64.self))
        let name = Array(try reader.take(Int(try reader.integer(UInt16.self))))
        guard isValid(name: name) else { throw reader.error("'\(FileTreeError.text(name))' is no name") }
        let content: TreeEntry.Content
        switch code {
        case Code.file:
            let size = try reader.integer(UInt64.self)
            guard size <= UInt64(Int64.max) else { throw reader.error("a size is beyond 2^63") }
            content = .file(try reader.digest(), size: size)
        case Code.directory: content = .directory(try reader.digest())
        case Code.symlink:
            let target = Array(try reader.take(Int(try reader.integer(UInt16.self))))
            guard (1...targetLimit).contains(target.count), !target.contains(0) else { throw reader.error("a link's target is none") }
            content = .symlink(target: target)
        case Code.fifo: content = .fifo
        default: throw reader.error("\(code) is no kind of file")
        }
        return TreeEntry(name: name, mode: mode, modified: modified, content: content)
    }

    /// True for what may be a name in a directory.
    public static func isValid(name: [UInt8]) -> Bool {
        guard (1...nameLimit).contains(name.count), !name.contains(0), !name.contains(UInt8(ascii: "/")) else { return false }
        return name != [UInt8(ascii: ".")] && name != [UInt8(ascii: "."), UInt8(ascii: ".")]
    }
}
