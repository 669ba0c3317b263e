/// A directive of werf.yaml: what the parser does with it, and what the documentation says of it.
public struct Directive: Hashable, Sendable {
    /// What becomes of a directive.
    public enum State: Hashable, Sendable {
        /// It is built; with what is worth knowing.
        case supported(String)
        /// It is read and has no effect here; with the reason.
        case ignored(String)
        /// An error that names it. The text goes on after the name: `is not built yet: …` or `is not supported: …`.
        case refused(String)
    }

    public let name: String
    public let state: State

    init(_ name: String, _ note: String = "") {
        self.name = name
        state = .supported(note)
    }

    init(_ name: String, ignored reason: String) {
        self.name = name
        state = .ignored(reason)
    }

    init(_ name: String, refused reason: String) {
        self.name = name
        state = .refused(reason)
    }
}

/// The directives that may stand together in one mapping.
public struct DirectiveGroup: Hashable, Sendable {
    /// As messages call it.
    public let name: String
    public let directives: [Directive]

    init(_ name: String, _ directives: [Directive]) {
        self.name = name
        self.directives = directives
    }

    /// The directive of a name.
    public subscript(name: String) -> Directive? { directives.first { $0.name == name } }
}
