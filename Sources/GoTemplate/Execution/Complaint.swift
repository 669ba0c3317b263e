/// What is wrong, by somebody who does not know the place; ``Machine`` and ``Parser`` make a ``TemplateError`` of it.
struct Complaint: Error {
    let message: String
    /// A bound was reached: the innermost place is what counts, not the way to it.
    let isLimit: Bool

    init(_ message: String, isLimit: Bool = false) {
        self.message = message
        self.isLimit = isLimit
    }
}
