import BuildPlan

/// `RUN --mount=…` as written: fields are split and their names known, values not yet expanded.
struct MountOption: Hashable {
    struct Field: Hashable {
        /// The key without its aliases.
        let key: Key
        let value: String?
    }

    enum Key: String, CaseIterable {
        case type, from, source, target, readonly, readwrite, id, sharing, mode, uid, gid, required, size, env
    }

    let text: String
    let fields: [Field]
    /// The stage or image that is named; variables are not expanded in it.
    let from: String?

    private static let aliases: [String: Key] = [
        "src": .source, "dst": .target, "destination": .target, "ro": .readonly, "rw": .readwrite,
    ]
    private static let names = Key.allCases.map(\.rawValue) + aliases.keys.sorted()

    init(_ text: String) throws(Complaint) {
        self.text = text
        var fields: [Field] = []
        for field in try Self.split(text) {
            let (name, value) = field.cut(at: "=").map { ($0.before, Optional($0.after)) } ?? (field, nil)
            let lowered = name.lowercased()
            guard let key = Key(rawValue: lowered) ?? Self.aliases[lowered] else {
                throw Complaint("--mount=\(text): unknown key '\(name)'", lowered, among: Self.names)
            }
            guard value != nil || [.readonly, .readwrite, .required].contains(key) else {
                throw Complaint("--mount=\(text): '\(name)' needs a value: expected \(name)=…")
            }
            fields.append(Field(key: key, value: value))
        }
        self.fields = fields
        from = fields.last { $0.key == .from }?.value
        if let from, from.utf8.contains(UInt8(ascii: "$")) {
            throw Complaint("--mount=\(text): variables are not expanded in 'from'; name a stage: FROM \(from) AS name")
        }
        if from == "" { throw Complaint("--mount=\(text): 'from' is empty: expected a stage or an image") }
    }

    // Comma-separated values: a field in double quotes may hold commas, and quotes when they are doubled.
    private static func split(_ text: String) throws(Complaint) -> [String] {
        let bytes = text.bytes
        var fields: [String] = []
        var position = 0
        while true {
            var field: [UInt8] = []
            if position < bytes.count, bytes[position] == UInt8(ascii: "\"") {
                position += 1
                while true {
                    guard position < bytes.count else { throw Complaint("--mount=\(text): a quoted field is not closed") }
                    let byte = bytes[position]
                    position += 1
                    if byte == UInt8(ascii: "\"") {
                        guard position < bytes.count, bytes[position] == byte else { break }
                        position += 1
                    }
                    field.append(byte)
                }
                guard position == bytes.count || bytes[position] == UInt8(ascii: ",") else {
                    throw Complaint("--mount=\(text): expected ',' after a quoted field")
                }
            } else {
                while position < bytes.count, bytes[position] != UInt8(ascii: ",") {
                    guard bytes[position] != UInt8(ascii: "\"") else {
                        throw Complaint("--mount=\(text): a quote inside a field: quote the whole field, \"key=value\"")
                    }
                    field.append(bytes[position])
                    position += 1
                }
            }
            fields.append(field.text)
            guard position < bytes.count else { return fields }
            position += 1
        }
    }
}

extension MountOption {
    /// The mount, with values expanded.
    ///
    /// - Parameters:
    ///   - workingDirectory: what a relative target joins.
    ///   - tree: what `from` names.
    func mount(workingDirectory: String, tree: TreeSource, expand: (String) throws(Complaint) -> String) throws(Complaint) -> Mount {
        var values: [Key: String] = [:]
        for field in fields {
            guard let value = field.value else {
                values[field.key] = "true"
                continue
            }
            values[field.key] = field.key == .from ? value : try expand(value)
        }
        let kind = try type(values[.type] ?? "bind")
        for field in fields where !kind.keys.contains(field.key) {
            throw Complaint("--mount=\(text): '\(field.key)' has no meaning for type \(kind.rawValue)")
        }
        if kind == .secret { return try secret(values) }
        let given = values[.target] ?? ""
        guard !given.isEmpty else { throw Complaint("--mount=\(text): 'target' is missing") }
        let target = CleanPath.join(workingDirectory, given)
        guard target != "/" else { throw Complaint("--mount=\(text): the target can't be /") }
        return Mount(
            target: target, readOnly: try readOnly(default: kind == .bind, expand: expand),
            kind: try mountKind(kind, values, id: CleanPath.clean(given), tree: tree))
    }

    private enum MountType: String, CaseIterable {
        case bind, cache, tmpfs, secret

        var keys: Set<Key> {
            switch self {
            case .bind: [.type, .from, .source, .target, .readonly, .readwrite]
            case .cache: [.type, .from, .source, .target, .readonly, .readwrite, .id, .sharing, .mode, .uid, .gid]
            case .tmpfs: [.type, .target, .readonly, .readwrite, .size]
            case .secret: [.type, .id, .source, .target, .env, .required, .mode, .uid, .gid, .readonly]
            }
        }
    }

    private func type(_ name: String) throws(Complaint) -> MountType {
        if let type = MountType(rawValue: name.lowercased()) { return type }
        if name.lowercased() == "ssh" { throw Complaint("--mount=type=ssh is not built yet") }
        throw Complaint(
            "--mount=\(text): unknown type '\(name)': expected bind, cache, tmpfs or secret", name,
            among: MountType.allCases.map(\.rawValue))
    }

    // The last of all readonly and readwrite fields decides.
    private func readOnly(default: Bool, expand: (String) throws(Complaint) -> String) throws(Complaint) -> Bool {
        var result = `default`
        for field in fields where field.key == .readonly || field.key == .readwrite {
            let value = try field.value.map(expand) ?? "true"
            guard let truth = Truth.read(value) else { throw Complaint("--mount=\(text): \(field.key)=\(value): expected true or false") }
            result = truth == (field.key == .readonly)
        }
        return result
    }

    private func mountKind(_ type: MountType, _ values: [Key: String], id: String, tree: TreeSource) throws(Complaint) -> Mount.Kind {
        let source = CleanPath.relativeToRoot(values[.source] ?? "")
        switch type {
        case .bind: return .bind(from: tree, source: source)
        case .secret: return try secret(values).kind
        case .tmpfs:
            guard let text = values[.size] else { return .tmpfs(size: nil) }
            guard let size = ByteCount.read(text) else {
                throw Complaint("--mount=\(self.text): size=\(text): expected a size like 64m or 1g")
            }
            return .tmpfs(size: size)
        case .cache:
            guard from != nil || values[.source] == nil else { throw Complaint("--mount=\(text): 'source' of a cache needs 'from'") }
            let name = values[.sharing] ?? Sharing.shared.rawValue
            guard let sharing = Sharing(rawValue: name.lowercased()) else {
                throw Complaint(
                    "--mount=\(text): sharing=\(name): expected shared, private or locked", name, among: Sharing.allCases.map(\.rawValue))
            }
            let chosen = values[.id] ?? ""
            return .cache(
                CacheMount(
                    id: chosen.isEmpty ? id : chosen, sharing: sharing, mode: try mode(values[.mode], default: CacheMount.defaultMode),
                    uid: try owner(values[.uid], .uid), gid: try owner(values[.gid], .gid),
                    seed: from == nil ? nil : TreeSelection(source: tree, path: source, wildcards: false)))
        }
    }

    // Without a target a secret that is asked for as a variable has no file; a relative target is relative to the root.
    private func secret(_ values: [Key: String]) throws(Complaint) -> Mount {
        let given = values[.target] ?? ""
        let named = [values[.source], values[.id]].compactMap(\.self).first { !$0.isEmpty }
        guard let id = named ?? (given.isEmpty ? nil : Self.baseName(given)), !id.isEmpty, !id.utf8.contains(0) else {
            throw Complaint("--mount=\(text): a secret needs 'id' or 'target'")
        }
        let variable = values[.env]
        if let variable, variable.isEmpty || variable.utf8.contains(UInt8(ascii: "=")) {
            throw Complaint("--mount=\(text): env=\(variable): expected the name of a variable")
        }
        let name = Self.baseName(id)
        guard !given.isEmpty || !["", ".", ".."].contains(name) else {
            throw Complaint("--mount=\(text): id=\(id) makes no file name: give a 'target'")
        }
        let target = CleanPath.join("/", given.isEmpty ? "\(SecretMount.folder)/\(name)" : given)
        guard target != "/" else { throw Complaint("--mount=\(text): the target can't be /") }
        var required = false
        if let value = values[.required] {
            guard let truth = Truth.read(value) else { throw Complaint("--mount=\(text): required=\(value): expected true or false") }
            required = truth
        }
        return Mount(
            target: target, readOnly: true,
            kind: .secret(
                SecretMount(
                    id: id, required: required, variable: variable, isFile: variable == nil || !given.isEmpty,
                    mode: try mode(values[.mode], default: SecretMount.defaultMode), uid: try owner(values[.uid], .uid),
                    gid: try owner(values[.gid], .gid))))
    }

    private static func baseName(_ path: String) -> String {
        CleanPath.clean(path).bytes.split(separator: UInt8(ascii: "/")).last.map { Array($0).text } ?? ""
    }

    private func mode(_ text: String?, default: UInt16) throws(Complaint) -> UInt16 {
        guard let text else { return `default` }
        guard let mode = OctalMode.read(text) else {
            throw Complaint("--mount=\(self.text): mode=\(text): expected octal digits, like 0755")
        }
        return mode
    }

    private func owner(_ text: String?, _ key: Key) throws(Complaint) -> UInt32 {
        guard let text else { return 0 }
        // The highest number means "no change" to the kernel.
        guard text.utf8.allSatisfy(\.isDigit), let number = UInt32(text), number < .max else {
            throw Complaint("--mount=\(self.text): \(key)=\(text): expected a number")
        }
        return number
    }
}

/// Permission bits in octal.
enum OctalMode {
    /// nil for anything but octal digits up to 7777.
    static func read(_ text: String) -> UInt16? {
        guard !text.isEmpty, text.utf8.allSatisfy(\.isDigit), let mode = UInt16(text, radix: 8), mode <= 0o7777 else { return nil }
        return mode
    }
}

/// Sizes as people write them: `64m`, `1.5g`, `10KiB`; every unit is a power of 1024.
enum ByteCount {
    static func read(_ text: String) -> UInt64? {
        let bytes = text.lowercased().bytes
        let number = bytes.prefix { $0.isDigit || $0 == UInt8(ascii: ".") }
        var unit = bytes[number.endIndex...].trimmed.text
        guard number.count <= 20, number.first?.isDigit == true, number.last?.isDigit == true else { return nil }
        for suffix in ["ib", "b"] where unit.hasSuffix(suffix) {
            unit.removeLast(suffix.count)
            break
        }
        guard let power = ["", "k", "m", "g", "t", "p"].firstIndex(of: unit) else { return nil }
        let scale = UInt64(1) << (10 * UInt64(power))
        if let whole = UInt64(number.text) {
            let (product, overflow) = whole.multipliedReportingOverflow(by: scale)
            return overflow ? nil : product
        }
        guard let value = Double(number.text), value * Double(scale) < Double(Int64.max) else { return nil }
        return UInt64(value * Double(scale))
    }
}
