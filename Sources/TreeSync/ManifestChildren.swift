/// Walking a manifest by directories instead of from its first entry to its last.
extension VolumeManifest {
    /// The index behind everything that is inside the entry at `index`. Logarithmic in how much that is.
    func end(ofEntryAt index: Int) -> Int {
        let path = entries[index].path
        guard entries[index].isDirectory else { return index + 1 }
        // Galloping: `low` is the entry or inside it, `high` is perhaps not.
        var low = index
        var step = 1
        while low + step < entries.count, TreePaths.isBelow(entries[low + step].path, path) {
            low += step
            step *= 2
        }
        var high = min(low + step, entries.count)
        while low + 1 < high {
            let middle = (low + high) / 2
            if TreePaths.isBelow(entries[middle].path, path) { low = middle } else { high = middle }
        }
        return low + 1
    }

    /// Calls the body with the index of each name that is directly in the directory at `index`, in tree order.
    func eachChild(ofEntryAt index: Int, _ body: (Int) throws -> Void) rethrows {
        let end = end(ofEntryAt: index)
        var child = index + 1
        while child < end {
            try body(child)
            child = self.end(ofEntryAt: child)
        }
    }

    /// The index of a path's entry, nil where there is none. Logarithmic.
    func index(of path: TreePath) -> Int? {
        let index = position(of: path)
        return index < entries.count && entries[index].path == path ? index : nil
    }
}
