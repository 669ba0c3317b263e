/// A word of a template.
struct Token: Equatable {
    enum Kind: Equatable {
        case text
        case leftDelimiter
        case rightDelimiter
        /// Between the words of an action; arguments are told apart by it.
        case space
        case leftParenthesis
        case rightParenthesis
        case pipe
        case comma
        case assign
        case declare
        case dot
        /// `.name`
        case field
        /// `$name` or `$`
        case variable
        case identifier
        case keyword(Keyword)
        case bool
        case nothing
        case number
        case character
        case quoted
        case raw
        case end
    }

    enum Keyword: String {
        case block, `break`, `continue`, define, `else`, end, `if`, range, template, with
    }

    let kind: Kind
    /// Where the word starts, in bytes.
    let offset: Int
    /// The word as it is written; a text without what was trimmed.
    let text: Bytes
}
