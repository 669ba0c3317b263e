extension Value {
    /// Go's name of the type, as `%T` prints it.
    var typeName: String {
        switch self {
        case .null: "<nil>"
        case .bool: "bool"
        case .integer(_, let type): type.rawValue
        case .float: "float64"
        case .text: "string"
        case .list(let list): "[]" + list.type.rawValue
        case .map(let map): map.isOfTexts ? "map[string]string" : "map[string]interface {}"
        case .moment: "time.Time"
        case .version: "*semver.Version"
        case .files: "config.files"
        }
    }

    /// Go's name of the kind, as sprig's `kindOf` gives it.
    var kindName: String {
        switch self {
        case .null: "invalid"
        case .list: "slice"
        case .map: "map"
        case .moment, .files: "struct"
        case .version: "ptr"
        case .bool, .integer, .float, .text: typeName
        }
    }

    /// What `if`, `and`, `or` and `not` go by: false, 0, nil and whatever is empty are false.
    var isTrue: Bool {
        switch self {
        case .null: false
        case .bool(let value): value
        case .integer(let value, _): value != 0
        case .float(let value): value != 0
        case .text(let value): !value.isEmpty
        case .list(let list): !list.elements.isEmpty
        case .map(let map): map.count > 0
        case .moment, .version, .files: true
        }
    }

    var isNull: Bool { if case .null = self { true } else { false } }
}

extension Machine {
    /// Equality as sprig's `deepEqual`, `has`, `uniq` and `without` have it: of the same type, element by element.
    func areDeeplyEqual(_ a: Value, _ b: Value, depth: Int = 0) throws -> Bool {
        try spend()
        try checkDepth(of: depth)
        switch (a, b) {
        case (.null, .null), (.files, .files): return true
        case (.bool(let x), .bool(let y)): return x == y
        case (.integer(let x, let s), .integer(let y, let t)): return x == y && s == t
        case (.float(let x), .float(let y)): return x == y
        case (.text(let x), .text(let y)): return x == y
        case (.moment(let x), .moment(let y)): return x == y
        case (.version(let x), .version(let y)): return x == y
        case (.list(let x), .list(let y)):
            guard x.elements.count == y.elements.count, x.type == y.type else { return false }
            for (v, w) in zip(x.elements, y.elements) where try !areDeeplyEqual(v, w, depth: depth + 1) { return false }
            return true
        case (.map(let x), .map(let y)):
            guard x.count == y.count, x.isOfTexts == y.isOfTexts else { return false }
            if x === y { return true }
            for (key, value) in x.entries {
                guard let other = y[key], try areDeeplyEqual(value, other, depth: depth + 1) else { return false }
            }
            return true
        default: return false
        }
    }

    /// A copy that shares no map with the original.
    func deepCopy(_ value: Value, depth: Int = 0) throws -> Value {
        try spend()
        try checkDepth(of: depth)
        switch value {
        case .list(let list): return try makeList(try list.elements.map { try deepCopy($0, depth: depth + 1) }, list.type)
        case .map(let map):
            let copy = try makeMap(isOfTexts: map.isOfTexts)
            for key in map.sortedKeys { try set(copy, key, try deepCopy(map[key] ?? .null, depth: depth + 1)) }
            return .map(copy)
        default: return value
        }
    }
}
