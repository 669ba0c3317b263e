/// Why the engine refuses a request; the text is for the user.
public enum EngineError: Error, Sendable, Hashable, CustomStringConvertible {
    /// Nothing by that name: 404.
    case notFound(String)
    /// The request makes no sense as it stands: 400.
    case invalid(String)
    /// It can't be done in the present state: 409.
    case conflict(String)
    /// It can't be done now, but may be later: 503.
    case unavailable(String)

    /// What went wrong, on what, and what to do.
    public var description: String {
        switch self {
        case .notFound(let text), .invalid(let text), .conflict(let text), .unavailable(let text): text
        }
    }
}
