extension FunctionTable {
    /// Sprig's functions on maps. `set`, `unset`, `merge` and `mergeOverwrite` change their first map.
    mutating func addMaps() {
        family = .maps
        add("dict", from: 0) { a in
            let map = try a.machine.makeMap()
            for index in stride(from: 0, to: a.count, by: 2) {
                try a.machine.set(map, try a.shown(index), index + 1 < a.count ? a[index + 1] : .text([]))
            }
            return .map(map)
        }
        add("get", count: 2) { a in try a.map(0)[try a.text(1)] ?? .text([]) }
        add("set", count: 3) { a in
            try a.machine.set(try a.map(0), try a.text(1), a[2])
            return a[0]
        }
        add("unset", count: 2) { a in
            try a.map(0)[try a.text(1)] = nil
            return a[0]
        }
        add("hasKey", count: 2) { a in .bool(try a.map(0)[try a.text(1)] != nil) }
        add("pluck", from: 1) { a in
            let key = try a.text(0)
            return try a.make(try a.values.indices.dropFirst().compactMap { try a.map($0)[key] })
        }
        add("keys", from: 0) { a in
            try a.machine.makeList(texts: try a.values.indices.flatMap { try a.machine.sortedKeys(try a.map($0)) })
        }
        add("values", count: 1) { a in
            let map = try a.map(0)
            return try a.make(try a.machine.sortedKeys(map).map { map[$0] ?? .null })
        }
        add("pick", from: 1) { a in
            let picked = try a.machine.makeMap()
            for index in a.values.indices.dropFirst() {
                let key = try a.text(index)
                if let value = try a.map(0)[key] { try a.machine.set(picked, key, value) }
            }
            return .map(picked)
        }
        add("omit", from: 1) { a in
            let dropped = Set(try a.values.indices.dropFirst().map { try a.text($0) })
            let kept = try a.machine.makeMap()
            for (key, value) in try a.map(0).entries where !dropped.contains(key) { try a.machine.set(kept, key, value) }
            return .map(kept)
        }
        add("merge", "mustMerge", from: 1) { a in
            for index in a.values.indices.dropFirst() { try Self.merge(try a.map(index), into: try a.map(0), overwrites: false, a) }
            return a[0]
        }
        add("mergeOverwrite", "mustMergeOverwrite", from: 1) { a in
            for index in a.values.indices.dropFirst() { try Self.merge(try a.map(index), into: try a.map(0), overwrites: true, a) }
            return a[0]
        }
        add("deepCopy", "mustDeepCopy", count: 1) { a in try a.machine.deepCopy(a[0]) }
        add("dig", from: 3) { a in
            var map = try a.map(a.count - 1)
            for index in 0..<(a.count - 2) {
                guard let value = map[try a.text(index)] else { return a[a.count - 2] }
                if index == a.count - 3 { return value }
                guard case .map(let inner) = value else {
                    throw Complaint("dig: \(Quoting.quoted(try a.text(index)).string) is a \(value.typeName), no map")
                }
                map = inner
            }
            return a[a.count - 2]
        }
    }

    /// Maps in both are merged; else an empty value gives way, or any to one that is not empty.
    private static func merge(_ source: MapValue, into target: MapValue, overwrites: Bool, _ a: Arguments, depth: Int = 0) throws {
        try a.machine.checkDepth(of: depth)
        guard source !== target else { return }
        for key in try a.machine.sortedKeys(source) {
            try a.machine.spend()
            let value = source[key] ?? .null
            if case .map(let inner) = value, case .map(let known)? = target[key] {
                try merge(inner, into: known, overwrites: overwrites, a, depth: depth + 1)
            } else if overwrites ? value.isTrue || target[key] == nil : !(target[key]?.isTrue ?? false) {
                try a.machine.set(target, key, value)
            }
        }
    }
}
