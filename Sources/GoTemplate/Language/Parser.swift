/// Reads a template's words into its tree, and collects what it defines.
struct Parser {
    let source: TemplateSource
    var tokens: ArraySlice<Token>
    /// The names of variables that are known here.
    var variables: [String] = ["$"]
    var definitions: [TemplateDefinition] = []
    var nesting = 0
    var rangeDepth = 0
    /// Whether a function is known by that name.
    let knows: (String) -> Bool

    private init(_ source: TemplateSource, _ tokens: [Token], knows: @escaping (String) -> Bool) {
        self.source = source
        self.tokens = tokens[...]
        self.knows = knows
    }

    /// The template itself first, then what it defines in the order of the text.
    static func definitions(of source: TemplateSource, knows: @escaping (String) -> Bool) throws(TemplateError) -> [TemplateDefinition] {
        var parser = Parser(source, try Lexer.tokens(of: source), knows: knows)
        let (nodes, end) = try parser.list(isTop: true)
        if let end { throw source.error(at: end.offset, "unexpected {{\(end.keyword.rawValue)}}") }
        return [TemplateDefinition(name: source.name, source: source, nodes: nodes)] + parser.definitions
    }

    /// What ended a list: `{{end}}` or `{{else …}}`, of which the keyword is read.
    struct ListEnd {
        let keyword: Token.Keyword
        let offset: Int
    }

    // MARK: Words

    func peek() -> Token { tokens.first ?? Token(kind: .end, offset: source.bytes.count, text: []) }

    mutating func next() -> Token {
        let token = peek()
        tokens = tokens.dropFirst()
        return token
    }

    mutating func skipSpace() { while peek().kind == .space { tokens = tokens.dropFirst() } }

    mutating func nextNonSpace() -> Token {
        skipSpace()
        return next()
    }

    func unexpected(_ token: Token, in place: String) -> TemplateError {
        let text = token.kind == .end ? "EOF" : token.kind == .space ? "space" : "\"\(token.text.prefix(40).map { $0 }.string)\""
        return source.error(at: token.offset, "unexpected \(text) in \(place)")
    }

    mutating func expectEnd(of place: String) throws(TemplateError) {
        let token = nextNonSpace()
        guard token.kind == .rightDelimiter else { throw unexpected(token, in: place) }
    }

    mutating func enter(at offset: Int) throws(TemplateError) {
        nesting += 1
        guard nesting <= Limits.nesting else { throw source.error(at: offset, "nested deeper than \(Limits.nesting) levels") }
    }

    // MARK: Lists

    /// Nodes up to `{{end}}`, `{{else}}` or the end of the text.
    mutating func list(isTop: Bool) throws(TemplateError) -> ([Node], ListEnd?) {
        var nodes: [Node] = []
        while true {
            let token = next()
            switch token.kind {
            case .text: nodes.append(.text(token.text))
            case .leftDelimiter:
                skipSpace()
                guard case .keyword(let keyword) = peek().kind else {
                    nodes.append(.action(try pipeline(in: "command", endsAt: .rightDelimiter)))
                    continue
                }
                let word = next()
                if keyword == .end || keyword == .else {
                    if keyword == .end { try expectEnd(of: "end") }
                    return (nodes, ListEnd(keyword: keyword, offset: word.offset))
                }
                if keyword == .define {
                    guard isTop else { throw unexpected(word, in: "command: definitions stand outside of other actions") }
                    try definition(at: word.offset)
                } else {
                    nodes.append(try control(keyword, word))
                }
            case .end: return (nodes, nil)
            default: throw unexpected(token, in: "input")
            }
        }
    }

    private mutating func definition(at offset: Int) throws(TemplateError) {
        let name = try templateName(in: "define clause")
        try expectEnd(of: "define clause")
        try define(name, at: offset)
    }

    /// The body of `define` and of `block`, with variables of its own.
    private mutating func define(_ name: String, at offset: Int) throws(TemplateError) {
        let (outer, outerRange) = (variables, rangeDepth)
        (variables, rangeDepth) = (["$"], 0)
        try enter(at: offset)
        let (nodes, end) = try list(isTop: false)
        guard end?.keyword == .end else {
            throw source.error(at: end?.offset ?? source.bytes.count, "unexpected \(end == nil ? "EOF" : "{{else}}") in define clause")
        }
        nesting -= 1
        (variables, rangeDepth) = (outer, outerRange)
        definitions.append(TemplateDefinition(name: name, source: source, nodes: nodes))
    }

    private mutating func templateName(in place: String) throws(TemplateError) -> String {
        let token = nextNonSpace()
        guard token.kind == .quoted || token.kind == .raw, let name = StringLiteral.unquoted(token.text) else {
            throw unexpected(token, in: place)
        }
        return name.string
    }

    // MARK: Control

    private mutating func control(_ keyword: Token.Keyword, _ word: Token) throws(TemplateError) -> Node {
        switch keyword {
        case .if, .with: return try conditional(keyword, word)
        case .range: return try range(word)
        case .break, .continue:
            try expectEnd(of: "{{\(keyword.rawValue)}}")
            guard rangeDepth > 0 else { throw source.error(at: word.offset, "{{\(keyword.rawValue)}} outside {{range}}") }
            return .leave(isBreak: keyword == .break)
        case .template:
            let name = try templateName(in: "template clause")
            skipSpace()
            if peek().kind == .rightDelimiter {
                _ = next()
                return .template(name: name, nil, offset: word.offset)
            }
            return .template(name: name, try pipeline(in: "template clause", endsAt: .rightDelimiter), offset: word.offset)
        case .block:
            let name = try templateName(in: "block clause")
            let argument = try pipeline(in: "block clause", endsAt: .rightDelimiter)
            try define(name, at: word.offset)
            return .template(name: name, argument, offset: word.offset)
        case .define, .else, .end: throw unexpected(word, in: "command")
        }
    }

    private mutating func conditional(_ first: Token.Keyword, _ word: Token) throws(TemplateError) -> Node {
        let known = variables.count
        defer { variables.removeLast(variables.count - known) }
        try enter(at: word.offset)
        defer { nesting -= 1 }
        var branches: [Node.Branch] = []
        var keyword = first
        while true {
            let condition = try pipeline(in: keyword.rawValue, endsAt: .rightDelimiter)
            let (body, end) = try list(isTop: false)
            branches.append(Node.Branch(pipeline: condition, body: body, setsDot: keyword == .with))
            guard let end else { throw source.error(at: word.offset, "unexpected EOF: {{\(first.rawValue)}} without {{end}}") }
            if end.keyword == .end { return .conditional(branches, otherwise: []) }
            let following = nextNonSpace()
            if following.kind == .rightDelimiter { break }
            guard case .keyword(let chained) = following.kind, chained == first else { throw unexpected(following, in: "else") }
            keyword = chained
        }
        return .conditional(branches, otherwise: try lastList(of: first, word))
    }

    private mutating func range(_ word: Token) throws(TemplateError) -> Node {
        let known = variables.count
        defer { variables.removeLast(variables.count - known) }
        try enter(at: word.offset)
        defer { nesting -= 1 }
        let subject = try pipeline(in: "range", endsAt: .rightDelimiter)
        rangeDepth += 1
        let (body, end) = try list(isTop: false)
        rangeDepth -= 1
        guard let end else { throw source.error(at: word.offset, "unexpected EOF: {{range}} without {{end}}") }
        if end.keyword == .end { return .range(subject, body: body, otherwise: []) }
        try expectEnd(of: "else")
        return .range(subject, body: body, otherwise: try lastList(of: .range, word))
    }

    private mutating func lastList(of keyword: Token.Keyword, _ word: Token) throws(TemplateError) -> [Node] {
        let (nodes, end) = try list(isTop: false)
        guard let end else { throw source.error(at: word.offset, "unexpected EOF: {{\(keyword.rawValue)}} without {{end}}") }
        guard end.keyword == .end else { throw source.error(at: end.offset, "expected end; found {{else}}") }
        return nodes
    }
}
