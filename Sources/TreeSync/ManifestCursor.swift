import Digests

/// A place in one of the two lists of a ``ManifestTable``, its puts or its deletions. It moves forward name by name without an allocation, so
/// that looks in tree order cost little more than the bytes between them; backward by a new search.
struct ManifestCursor {
    private let table: ManifestTable
    private let list: ManifestTable.List
    private let isPuts: Bool
    /// The block that this place is in, and its number.
    private var block: ManifestBytes?
    private var blockNumber = -1
    /// In that, behind the path of this place, or behind its body where that has been passed already.
    private var decoder: ByteDecoder
    private var hasPassedBody = false
    private var body = 0
    /// Of this place, from 0; -1 for before the first.
    private var number = -1
    /// The path at this place.
    private(set) var path: TreePath = []

    init(puts table: ManifestTable) { self.init(table, table.puts, isPuts: true) }
    init(deletions table: ManifestTable) { self.init(table, table.deletions, isPuts: false) }

    private init(_ table: ManifestTable, _ list: ManifestTable.List, isPuts: Bool) {
        self.table = table
        self.list = list
        self.isPuts = isPuts
        decoder = ByteDecoder(UnsafeRawBufferPointer(start: nil, count: 0))
    }

    /// Goes to the last path that is this one or before it; false, and nowhere, where there is none.
    mutating func seek(atOrBefore target: TreePath) throws -> Bool {
        let following = number / ManifestTable.stride + 1
        if number < 0 || TreePaths.precedes(target, path)
            || following < list.restarts.count && !TreePaths.precedes(target, list.restarts[following].path)
        {
            guard let block = list.block(of: target) else {
                number = -1
                return false
            }
            try place(at: block)
        }
        try target.withUnsafeBytes { try move(upTo: $0) }
        return true
    }

    /// From a path that is at the target or before it to the last such one.
    ///
    /// Each path says how many bytes it has in common with the one before it. Where that is more than the target has in common with that
    /// one, both are on the same side of the target; where it is less, the target is between them.
    private mutating func move(upTo target: UnsafeRawBufferPointer) throws {
        var common = path.withUnsafeBytes { Self.common($0, target[...]) }
        while number + 1 < list.count {
            try passBody()
            var ahead = decoder
            let (shared, own) = try ahead.parts(after: path)
            if shared < common { return }
            if shared == common {
                let further = Self.common(own, target[shared...])
                if further < own.count {
                    guard shared + further < target.count, TreePaths.rank(own[further]) < TreePaths.rank(target[shared + further]) else {
                        return
                    }
                }
                common = shared + further
            }
            try take(shared, own, ahead)
        }
    }

    private static func common(_ a: UnsafeRawBufferPointer, _ b: Slice<UnsafeRawBufferPointer>) -> Int {
        let b = UnsafeRawBufferPointer(rebasing: b)
        let most = min(a.count, b.count)
        var count = 0
        while count < most, a[count] == b[count] { count += 1 }
        return count
    }

    /// Goes to the first path that is behind a directory and everything inside it, or stays where that is already; false at the end.
    mutating func advance(behindAllOf directory: TreePath) throws -> Bool {
        // No name has a lower byte than this one, and the slash comes before it.
        let behind = directory + [1]
        if number >= 0, !TreePaths.precedes(path, behind) { return true }
        if try seek(atOrBefore: behind), path == behind { return true }
        return try advance()
    }

    /// Goes to the next path, the first one from nowhere; false at the end.
    mutating func advance() throws -> Bool {
        guard number >= 0 else {
            guard list.count > 0 else { return false }
            try place(at: 0)
            return true
        }
        guard number + 1 < list.count else { return false }
        try passBody()
        var ahead = decoder
        let (shared, own) = try ahead.parts(after: path)
        try take(shared, own, ahead)
        return true
    }

    private mutating func place(at wanted: Int) throws {
        if wanted != blockNumber {
            block = try table.bytes(ofBlock: wanted, in: list)
            blockNumber = wanted
        }
        decoder = decoder(at: 0)
        path = list.restarts[wanted].path
        number = wanted * ManifestTable.stride
        body = 0
        hasPassedBody = false
    }

    /// Of the block, which the cursor keeps.
    private func decoder(at offset: Int) -> ByteDecoder {
        guard let block else { return ByteDecoder(UnsafeRawBufferPointer(start: nil, count: 0)) }
        return ByteDecoder(UnsafeRawBufferPointer(rebasing: block.bytes[offset...]))
    }

    private mutating func take(_ shared: Int, _ own: UnsafeRawBufferPointer, _ ahead: ByteDecoder) throws {
        if (number + 1) % ManifestTable.stride == 0 { return try place(at: (number + 1) / ManifestTable.stride) }
        path.removeLast(path.count - shared)
        path.append(contentsOf: own)
        number += 1
        decoder = ahead
        body = decoder.position
        hasPassedBody = false
    }

    private mutating func passBody() throws {
        guard isPuts, !hasPassedBody else { return }
        try decoder.skipEntry()
        hasPassedBody = true
    }

    /// The put at this place.
    func entry() throws -> TreeEntry {
        var decoder = decoder(at: body)
        return try decoder.entry(path)
    }

    /// Lends the put at this place, but for its path, in its binary form.
    mutating func withBody<R>(_ use: (UnsafeRawBufferPointer) throws -> R) throws -> R {
        try passBody()
        guard let block else { throw TreeSyncError.badManifest("nothing is there") }
        return try withExtendedLifetime(block) {
            try use(UnsafeRawBufferPointer(rebasing: $0.bytes[body..<decoder.position]))
        }
    }

    /// Whether the put at this place is a directory.
    func isDirectory() throws -> Bool {
        var decoder = decoder(at: body)
        return try decoder.byte() & ManifestFormat.kindMask == 0
    }
}

extension ByteDecoder {
    /// The next path: how many bytes it shares with the one before, and its own.
    fileprivate mutating func parts(after previous: TreePath) throws -> (shared: Int, own: UnsafeRawBufferPointer) {
        let shared = try number(Int.self, upTo: previous.count)
        return (shared, try raw(try number(Int.self, upTo: TreePaths.lengthLimit - shared)))
    }

    private mutating func skipNumber() throws { while try byte() & 0x80 != 0 {} }

    private mutating func skipString() throws { _ = try raw(try number(Int.self, upTo: remaining)) }

    /// Passes over what ``entry(_:)`` would read.
    fileprivate mutating func skipEntry() throws {
        let flags = try byte()
        for _ in 0..<4 { try skipNumber() }
        switch flags & ManifestFormat.kindMask {
        case 1:
            try skipNumber()
            _ = try raw(Digest.byteCount)
            if flags & ManifestFormat.linkFlag != 0 { try skipNumber() }
        case 2: try skipString()
        default: break
        }
        guard flags & ManifestFormat.attributesFlag != 0 else { return }
        for _ in 0..<(try number(Int.self, upTo: TreeEntry.attributeCountLimit)) {
            try skipString()
            try skipString()
        }
    }
}
