/// Goes through a generation by its layers' tables, in tree order: through what ``VolumeManifest/applying(_:)`` of one after the other would give,
/// with the memory of a path a layer. For one thread.
public final class GenerationCursor {
    private struct Layer {
        private var puts: ManifestCursor
        private var deletions: ManifestCursor
        /// The put that it stands at; nil behind the last one.
        private(set) var put: TreePath?
        /// The first deletion that has not been passed.
        private(set) var deletion: TreePath?
        /// Hides the lower layers' names at it and below it: a path that is deleted, or a file where they have a directory.
        private var hidden: TreePath?

        init(_ table: ManifestTable, behind path: TreePath?) throws {
            puts = ManifestCursor(puts: table)
            deletions = ManifestCursor(deletions: table)
            if let path {
                _ = try puts.seek(atOrBefore: path)
                _ = try deletions.seek(atOrBefore: path)
            }
            try advance()
            deletion = try deletions.advance() ? deletions.path : nil
        }

        mutating func advance() throws {
            put = nil
            put = try puts.advance() ? puts.path : nil
        }

        mutating func skip(inside directory: TreePath) throws {
            if put != nil { put = try puts.advance(behindAllOf: directory) ? puts.path : nil }
            if deletion != nil { deletion = try deletions.advance(behindAllOf: directory) ? deletions.path : nil }
        }

        func entry() throws -> TreeEntry { try puts.entry() }
        func isDirectory() throws -> Bool { try puts.isDirectory() }
        mutating func withBody<R>(_ use: (UnsafeRawBufferPointer) throws -> R) throws -> R { try puts.withBody(use) }

        /// Whether lower layers' names are hidden at the path. Paths are asked in their order.
        mutating func hides(_ path: TreePath) throws -> Bool {
            while let deleted = deletion, !TreePaths.precedes(path, deleted) {
                if hidden.map({ !TreePaths.isBelow(deleted, $0) }) ?? true { hidden = deleted }
                deletion = try deletions.advance() ? deletions.path : nil
            }
            guard let above = hidden else { return false }
            if path == above || TreePaths.isBelow(path, above) { return true }
            hidden = nil
            return false
        }

        /// Notes what the put that it stands at hides.
        mutating func note() throws {
            guard let put, try !hides(put), try !puts.isDirectory() else { return }
            hidden = put
        }
    }

    private var layers: [Layer]
    /// Where it stands, from 0 for the lowest; nil before the first name, after a skip and at the end.
    private var standing: Int?
    /// The layer of the name that it stands at, and of those that follow before the bound.
    private(set) var layer = 0
    private var isAlone = false
    /// The first path of which another layer has something to say; nil for none.
    private var bound: TreePath?

    /// Before the first name.
    ///
    /// - Parameter tables: of the layers, the lowest first.
    public convenience init(_ tables: [ManifestTable]) throws { try self.init(tables, behind: nil) }

    /// Before the first name behind a path, which is a directory in all of them, or not there, or nil for the first of all.
    init(_ tables: [ManifestTable], behind path: TreePath?) throws { layers = try tables.map { try Layer($0, behind: path) } }

    /// Goes to the next name; false at the end.
    public func advance() throws -> Bool {
        if let standing { try layers[standing].advance() }
        standing = nil
        if isAlone, let put = layers[layer].put, bound.map({ TreePaths.precedes(put, $0) }) ?? true {
            if layer > 0 { try layers[layer].note() }
            standing = layer
            return true
        }
        isAlone = false
        while let top = first(), let path = layers[top].put {
            for lower in 0..<top where layers[lower].put == path {
                try layers[lower].note()
                try layers[lower].advance()
            }
            try layers[top].note()
            if try isHidden(path, above: top) {
                try layers[top].advance()
                continue
            }
            layer = top
            standing = top
            findBound()
            return true
        }
        return false
    }

    /// The path at this place.
    public var path: TreePath { layers[layer].put ?? [] }

    /// The entry at this place.
    public func entry() throws -> TreeEntry { try layers[layer].entry() }

    /// Lends all of the entry but its path, in its binary form.
    func withBody<R>(_ body: (UnsafeRawBufferPointer) throws -> R) throws -> R {
        try layers[layer].withBody(body)
    }

    /// Passes over everything that is inside the directory at this place.
    func skipInside() throws {
        let directory = path
        for index in layers.indices { try layers[index].skip(inside: directory) }
        standing = nil
        isAlone = false
    }

    /// The layer that puts the lowest path; the highest one of those that put the same.
    private func first() -> Int? {
        var first: (layer: Int, path: TreePath)?
        for (index, layer) in layers.enumerated() {
            guard let put = layer.put else { continue }
            if let best = first?.path, TreePaths.precedes(best, put) { continue }
            first = (index, put)
        }
        return first?.layer
    }

    private func isHidden(_ path: TreePath, above top: Int) throws -> Bool {
        for upper in layers.indices.dropFirst(top + 1) where try layers[upper].hides(path) { return true }
        return false
    }

    /// After a name that nothing hides: what follows in its layer is next as long as no other one has anything there.
    private func findBound() {
        bound = nil
        func limit(_ path: TreePath?) {
            if let path, bound.map({ TreePaths.precedes(path, $0) }) ?? true { bound = path }
        }
        for (index, other) in layers.enumerated() where index != layer {
            limit(other.put)
            if index > layer { limit(other.deletion) }
        }
        isAlone = true
    }
}

extension VolumeManifest {
    /// All that a cursor goes through from where it is. Linear.
    public init(reading cursor: GenerationCursor) throws {
        var entries: [TreeEntry] = []
        while try cursor.advance() { entries.append(try cursor.entry()) }
        self.init(unchecked: entries)
    }
}
