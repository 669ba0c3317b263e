/// A template's text, read.
indirect enum Node: Sendable {
    case text(Bytes)
    /// `{{ pipeline }}`
    case action(Pipeline)
    /// `{{if}} … {{else if}} … {{else}} … {{end}}`: the first of the branches that holds
    case conditional([Branch], otherwise: [Node])
    case range(Pipeline, body: [Node], otherwise: [Node])
    case template(name: String, Pipeline?, offset: Int)
    case leave(isBreak: Bool)

    /// A condition of `if`, or a value of `with`, which becomes the dot of its body.
    struct Branch: Sendable {
        let pipeline: Pipeline
        let body: [Node]
        let setsDot: Bool
    }
}

/// Commands, each with the result of the one before as its last argument.
struct Pipeline: Sendable {
    let offset: Int
    /// The names with their `$`, which get the value.
    let variables: [String]
    /// `=` rather than `:=`
    let assigns: Bool
    let commands: [Command]
}

/// An operand alone, or a function or method with its arguments.
struct Command: Sendable {
    let offset: Int
    let operands: [Operand]
}

/// A word of a command with what is chained to it.
struct Operand: Sendable {
    let offset: Int
    let kind: Kind

    indirect enum Kind: Sendable {
        case dot
        case null
        case bool(Bool)
        case number(Value.Constant, text: Bytes)
        case text(Bytes, literal: Bytes)
        case identifier(String)
        /// `.a.b` of the dot
        case field([Bytes])
        /// `$x.a.b`
        case variable(String, [Bytes])
        /// `( … )`
        case pipeline(Pipeline)
        /// `( … ).a.b`
        case chain(Operand, [Bytes])
    }
}

extension Value {
    /// A number of the text, which may be kept in the tree.
    enum Constant: Sendable {
        case integer(Int64)
        case character(Int64)
        case float(Double)

        var value: Value {
            switch self {
            case .integer(let value): .integer(value, .int)
            case .character(let value): .integer(value, .int32)
            case .float(let value): .float(value)
            }
        }
    }
}

/// A named template: a file, or what `define` and `block` made.
struct TemplateDefinition: Sendable {
    let name: String
    let source: TemplateSource
    let nodes: [Node]

    /// Whether nothing but space is in it: such a definition replaces none that has something.
    var isEmpty: Bool {
        nodes.allSatisfy { if case .text(let text) = $0 { text.allSatisfy(\.isTemplateSpace) } else { false } }
    }
}
