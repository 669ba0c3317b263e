import Digests

/// The binary form of manifests, as `docs/formats-volumes.md` has it. One value has exactly one form.
enum ManifestFormat {
    static let wholeMagic = Array("FVM1".utf8)
    static let deltaMagic = Array("FVD1".utf8)
    /// The least bytes of an entry; a count that would need more than there are is refused before memory is taken.
    static let entryMinimum = 7
    /// Two bytes a deleted path: its shared and its own length.
    static let pathMinimum = 2

    static let kindMask: UInt8 = 0x07
    static let attributesFlag: UInt8 = 0x08
    static let sparseFlag: UInt8 = 0x10
    static let linkFlag: UInt8 = 0x20
}

extension VolumeManifest {
    /// No manifest, encoded, is larger: room for two million files.
    public static let encodedLimit = 256 << 20

    /// No volume has more names: some 200 bytes of memory each.
    public static let entryLimit = 4_000_000

    /// The binary form, its own digest at the end.
    public func encoded() -> [UInt8] {
        var encoder = ByteEncoder(reserving: entries.count * 96)
        encoder.raw(ManifestFormat.wholeMagic)
        encoder.entries(entries)
        return encoder.sealed()
    }

    /// Reads the binary form; throws ``TreeSyncError/badManifest(_:)`` for anything that ``encoded()`` would not have made.
    public init(decoding bytes: [UInt8]) throws {
        entries = try bytes.withUnsafeBytes { bytes in
            var decoder = try ByteDecoder(sealed: bytes, magic: ManifestFormat.wholeMagic)
            let entries = try decoder.entries()
            try decoder.end()
            return entries
        }
        self = try entries.isEmpty ? VolumeManifest() : VolumeManifest(entries: entries)
    }
}

extension DeltaManifest {
    /// The binary form, its own digest at the end.
    public func encoded() -> [UInt8] {
        var encoder = ByteEncoder(reserving: puts.count * 96 + deletions.count * 32)
        encoder.raw(ManifestFormat.deltaMagic)
        encoder.entries(puts)
        encoder.number(deletions.count)
        var previous: TreePath = []
        for path in deletions {
            encoder.path(path, after: previous)
            previous = path
        }
        return encoder.sealed()
    }

    /// Reads the binary form; throws ``TreeSyncError/badManifest(_:)`` for anything that ``encoded()`` would not have made.
    public init(decoding bytes: [UInt8]) throws {
        let (puts, deletions) = try bytes.withUnsafeBytes { bytes in
            var decoder = try ByteDecoder(sealed: bytes, magic: ManifestFormat.deltaMagic)
            let puts = try decoder.entries()
            let count = try decoder.count(of: ManifestFormat.pathMinimum)
            var deletions: [TreePath] = []
            deletions.reserveCapacity(count)
            for _ in 0..<count { deletions.append(try decoder.path(after: deletions.last ?? [])) }
            try decoder.end()
            return (puts, deletions)
        }
        try self.init(puts: puts, deletions: deletions)
    }

    /// The digest of the binary form.
    public var digest: Digest { Digest.of(encoded()) }
}

extension ByteEncoder {
    /// The bytes with their digest behind them.
    consuming func sealed() -> [UInt8] {
        raw(Digest.of(bytes).bytes)
        return bytes
    }

    /// A path without what it shares with the one before.
    mutating func path(_ path: TreePath, after previous: TreePath) {
        var shared = 0
        let most = min(path.count, previous.count)
        while shared < most, path[shared] == previous[shared] { shared += 1 }
        number(shared)
        string(path[shared...])
    }

    /// A list of entries.
    mutating func entries(_ entries: some Collection<TreeEntry>) {
        number(entries.count)
        var previous: TreePath = []
        for entry in entries {
            path(entry.path, after: previous)
            previous = entry.path
            self.entry(entry)
        }
    }

    /// All of an entry but its path.
    mutating func entry(_ entry: TreeEntry) {
        var kind: UInt8
        switch entry.content {
        case .directory: kind = 0
        case .file(let file):
            kind = 1
            if file.isSparse { kind |= ManifestFormat.sparseFlag }
            if file.linkGroup != 0 { kind |= ManifestFormat.linkFlag }
        case .symlink: kind = 2
        case .fifo: kind = 3
        }
        if !entry.attributes.isEmpty { kind |= ManifestFormat.attributesFlag }
        byte(kind)
        number(UInt64(entry.mode))
        number(UInt64(entry.uid))
        number(UInt64(entry.gid))
        signed(entry.modified)
        switch entry.content {
        case .directory, .fifo: break
        case .file(let file):
            number(file.size)
            file.digest.withUnsafeBytes { raw($0) }
            if file.linkGroup != 0 { number(file.linkGroup) }
        case .symlink(let target): string(target)
        }
        guard !entry.attributes.isEmpty else { return }
        number(entry.attributes.count)
        for attribute in entry.attributes {
            string(attribute.name)
            string(attribute.value)
        }
    }
}

extension ByteDecoder {
    /// The body of bytes that end with their digest.
    init(sealed bytes: UnsafeRawBufferPointer, magic: [UInt8]) throws {
        guard bytes.count >= magic.count + Digest.byteCount, bytes.prefix(magic.count).elementsEqual(magic) else {
            throw TreeSyncError.badManifest("it does not begin as one")
        }
        let end = bytes.count - Digest.byteCount
        let body = UnsafeRawBufferPointer(rebasing: bytes[..<end])
        guard bytes[end...].elementsEqual(Digest.of(body).bytes) else { throw TreeSyncError.badManifest("its digest is wrong") }
        self.init(UnsafeRawBufferPointer(rebasing: body[magic.count...]))
    }

    /// Throws where there is more.
    func end() throws {
        guard remaining == 0 else { throw TreeSyncError.badManifest("\(remaining) bytes too many") }
    }

    /// A count of things of which each takes at least `minimum` bytes.
    mutating func count(of minimum: Int) throws -> Int {
        let count = try number(Int.self, upTo: Int.max)
        guard count <= min(remaining / minimum, VolumeManifest.entryLimit) else { throw TreeSyncError.badManifest("a count of \(count)") }
        return count
    }

    mutating func path(after previous: TreePath) throws -> TreePath {
        let shared = try number(Int.self, upTo: previous.count)
        let own = try number(Int.self, upTo: TreePaths.lengthLimit - shared)
        let bytes = try raw(own)
        guard shared == previous.count || own == 0 || bytes[0] != previous[shared], own > 0 || shared == 0 else {
            throw TreeSyncError.badManifest("a path in a form that is not the shortest")
        }
        return TreePath(unsafeUninitializedCapacity: shared + own) { buffer, count in
            for index in 0..<shared { buffer[index] = previous[index] }
            for index in 0..<own { buffer[shared + index] = bytes[index] }
            count = shared + own
        }
    }

    /// A list of entries.
    mutating func entries() throws -> [TreeEntry] {
        let count = try count(of: ManifestFormat.entryMinimum)
        var entries: [TreeEntry] = []
        entries.reserveCapacity(count)
        for _ in 0..<count {
            let path = try path(after: entries.last?.path ?? [])
            entries.append(try entry(path))
        }
        return entries
    }

    /// What ``ByteEncoder/entry(_:)`` wrote.
    mutating func entry(_ path: TreePath) throws -> TreeEntry {
        let flags = try byte()
        let mode = try number(UInt16.self, upTo: 0o7777)
        let uid = try number(UInt32.self, upTo: .max)
        let gid = try number(UInt32.self, upTo: .max)
        let modified = try signed()
        let known = ManifestFormat.kindMask | ManifestFormat.attributesFlag
        let content: TreeEntry.Content
        switch flags & ManifestFormat.kindMask {
        case 0 where flags & ~known == 0: content = .directory
        case 1 where flags & ~(known | ManifestFormat.sparseFlag | ManifestFormat.linkFlag) == 0: content = .file(try file(flags))
        case 2 where flags & ~known == 0: content = .symlink(target: try string(upTo: TreeEntry.targetLimit))
        case 3 where flags & ~known == 0: content = .fifo
        default: throw TreeSyncError.badManifest("an entry of the unknown kind \(flags)")
        }
        let attributes = flags & ManifestFormat.attributesFlag == 0 ? [] : try attributes()
        return TreeEntry(path: path, mode: mode, uid: uid, gid: gid, modified: modified, attributes: attributes, content: content)
    }

    private mutating func file(_ flags: UInt8) throws -> FileContent {
        let size = try number()
        guard let digest = Digest(bytes: try raw(Digest.byteCount)) else { throw TreeSyncError.badManifest("no digest") }
        let group = flags & ManifestFormat.linkFlag == 0 ? 0 : try number()
        guard flags & ManifestFormat.linkFlag == 0 || group != 0 else { throw TreeSyncError.badManifest("a link group of 0") }
        return FileContent(size: size, digest: digest, linkGroup: group, isSparse: flags & ManifestFormat.sparseFlag != 0)
    }

    private mutating func attributes() throws -> [TreeEntry.Attribute] {
        let count = try number(Int.self, upTo: TreeEntry.attributeCountLimit)
        guard count > 0 else { throw TreeSyncError.badManifest("no attributes where some are announced") }
        var attributes: [TreeEntry.Attribute] = []
        for _ in 0..<count {
            let name = try string(upTo: TreeEntry.attributeNameLimit)
            attributes.append(TreeEntry.Attribute(name: name, value: try string(upTo: TreeEntry.attributeValueLimit)))
        }
        return attributes
    }
}
