/// A mapping of the file whose directives are known: reads them, and refuses all others by name.
struct Section {
    /// What the directives are called together: `shell`, `git`.
    let group: DirectiveGroup
    let file: String
    let line: Int
    private let values: [String: (line: Int, value: YAMLValue)]

    init(_ value: YAMLValue, _ group: DirectiveGroup, file: String) throws(WerfError) {
        self.group = group
        self.file = file
        line = value.line
        guard case .mapping(let entries) = value.content else {
            throw WerfError(
                file: file, line: value.line, message: "\(group.name): expected a mapping of directives, not \(value.described)")
        }
        var values: [String: (line: Int, value: YAMLValue)] = [:]
        for entry in entries {
            guard let directive = group[entry.key] else {
                let nearest = Nearest.word(to: entry.key, among: group.directives.map(\.name)).map { " (did you mean \($0)?)" } ?? ""
                throw WerfError(
                    file: file, line: entry.line,
                    message: "\(group.name): unknown directive '\(entry.key.prefix(YAMLReader.maximumDepth))'\(nearest)")
            }
            if case .refused(let reason) = directive.state {
                throw WerfError(file: file, line: entry.line, message: "\(group.name): '\(directive.name)' \(reason)")
            }
            values[entry.key] = (entry.line, entry.value)
        }
        self.values = values
    }

    /// True where the directive is there, even with nothing after it.
    func has(_ name: String) -> Bool { values[name] != nil }

    /// The line of a directive, else of the section.
    func line(_ name: String) -> Int { values[name]?.line ?? line }

    /// An error at a directive.
    func error(_ name: String, _ message: String) -> WerfError {
        WerfError(file: file, line: line(name), message: "\(group.name): \(message)")
    }

    /// A directive's value; nil where it is not there or nothing.
    func value(_ name: String) -> YAMLValue? {
        guard let value = values[name]?.value else { return nil }
        if case .null = value.content { return nil }
        return value
    }

    /// A text, also one that looks like a number; nil where there is none.
    func string(_ name: String) throws(WerfError) -> String? {
        guard let value = value(name) else { return nil }
        guard case .scalar(let text, _) = value.content else { throw error(name, "'\(name)' expects a text, not \(value.described)") }
        guard text.utf8.allSatisfy({ $0 != 0 }) else { throw error(name, "'\(name)' has a NUL character") }
        return text
    }

    /// A text of at least one character.
    func text(_ name: String) throws(WerfError) -> String? {
        guard let text = try string(name) else { return nil }
        return text.isEmpty ? nil : text
    }

    func bool(_ name: String) throws(WerfError) -> Bool? {
        guard let value = value(name) else { return nil }
        if case .scalar(let text, isText: false) = value.content {
            if ["true", "yes", "on"].contains(text.lowercased()) { return true }
            if ["false", "no", "off"].contains(text.lowercased()) { return false }
        }
        throw error(name, "'\(name)' expects true or false, not \(value.described)")
    }

    func integer(_ name: String) throws(WerfError) -> Int? {
        guard let value = value(name) else { return nil }
        guard case .scalar(let text, isText: false) = value.content, let number = Int(text) else {
            throw error(name, "'\(name)' expects a whole number, not \(value.described)")
        }
        return number
    }

    /// One text or a list of texts.
    ///
    /// - Parameter onlyText: as werf does for most directives, a number or a truth value without quotes is refused.
    func strings(_ name: String, onlyText: Bool = true) throws(WerfError) -> [String] {
        guard let value = value(name) else { return [] }
        let items: [YAMLValue]
        if case .list(let list) = value.content { items = list } else { items = [value] }
        var result: [String] = []
        for item in items {
            guard case .scalar(let text, let isText) = item.content, isText || !onlyText, text.utf8.allSatisfy({ $0 != 0 }) else {
                var hint = ""
                if case .scalar(_, isText: false) = item.content { hint = "; put it in quotes" }
                throw WerfError(
                    file: file, line: item.line,
                    message: "\(group.name): '\(name)' expects a text or a list of texts, not \(item.described)\(hint)")
            }
            result.append(text)
        }
        return result
    }

    /// Names and values, in the order of the file.
    func pairs(_ name: String) throws(WerfError) -> [(name: String, value: String)] {
        guard let value = value(name) else { return [] }
        guard case .mapping(let entries) = value.content else {
            throw error(name, "'\(name)' expects names and values, not \(value.described)")
        }
        var pairs: [(name: String, value: String)] = []
        for entry in entries {
            switch entry.value.content {
            case .null: pairs.append((entry.key, ""))
            case .scalar(let text, _) where text.utf8.allSatisfy({ $0 != 0 }) && entry.key.utf8.allSatisfy({ $0 != 0 }):
                pairs.append((entry.key, text))
            default:
                throw WerfError(
                    file: file, line: entry.line,
                    message: "\(group.name): '\(name)': '\(entry.key)' expects a text, not \(entry.value.described)")
            }
        }
        return pairs
    }

    /// A mapping of directives; nil where there is none.
    func section(_ name: String, _ group: DirectiveGroup) throws(WerfError) -> Section? {
        guard let value = value(name) else { return nil }
        return try Section(value, group, file: file)
    }

    /// A list of mappings of directives.
    func sections(_ name: String, _ group: DirectiveGroup) throws(WerfError) -> [Section] {
        guard let value = value(name) else { return [] }
        guard case .list(let items) = value.content else {
            throw error(name, "'\(name)' expects a list, not \(value.described)")
        }
        var sections: [Section] = []
        for item in items { sections.append(try Section(item, group, file: file)) }
        return sections
    }
}
