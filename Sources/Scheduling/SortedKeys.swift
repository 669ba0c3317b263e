/// Small integers in the order of a key each. Changing one costs a binary search and a move of memory: some microseconds for thousands.
struct SortedKeys: Sendable {
    private struct Entry: Sendable {
        var key: Double
        var element: Int

        static func < (a: Entry, b: Entry) -> Bool { a.key != b.key ? a.key < b.key : a.element < b.element }
    }

    private var entries: [Entry] = []
    /// By element; nil for what is not in it.
    private var keys: [Double?] = []

    var count: Int { entries.count }

    /// The element at a position of the order.
    subscript(position: Int) -> Int { entries[position].element }

    /// Puts the element where its key belongs; nil takes it out.
    mutating func set(_ element: Int, to key: Double?) {
        while keys.count <= element { keys.append(nil) }
        if keys[element] == key { return }
        if let old = keys[element] { entries.remove(at: position(of: Entry(key: old, element: element))) }
        keys[element] = key
        guard let key else { return }
        let entry = Entry(key: key, element: element)
        entries.insert(entry, at: position(of: entry))
    }

    /// The first position whose entry is not before the given one.
    private func position(of entry: Entry) -> Int {
        var (low, high) = (0, entries.count)
        while low < high {
            let middle = (low + high) / 2
            if entries[middle] < entry { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
