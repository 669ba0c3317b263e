/// A function that templates call by its name.
struct TemplateFunction: Sendable {
    let family: Registry.Family
    let minimum: Int
    /// Nil for any number.
    let maximum: Int?
    let body: @Sendable (Arguments) throws -> Value

    /// Go's complaint about a wrong number of arguments.
    func check(_ count: Int, _ name: String) throws {
        if maximum == minimum, count != minimum {
            throw Complaint("wrong number of args for \(name): want \(minimum) got \(count)")
        }
        if count < minimum { throw Complaint("wrong number of args for \(name): want at least \(minimum) got \(count)") }
        if let maximum, count > maximum { throw Complaint("wrong number of args for \(name): want at most \(maximum) got \(count)") }
    }
}

/// All functions, and those that are known and refused. docs/werf-templates.md is checked against it.
enum Registry {
    /// The headings of the documentation's table.
    enum Family: String, CaseIterable {
        case language = "Go's own"
        case werf = "werf's"
        case defaults = "Defaults and flow"
        case strings = "Texts"
        case regex = "Regular expressions"
        case encoding = "Encodings and digests"
        case conversion = "Conversion"
        case numbers = "Numbers"
        case lists = "Lists"
        case maps = "Maps"
        case reflection = "Types"
        case paths = "Paths and addresses"
        case versions = "Versions"
        case dates = "Dates"
    }

    /// Every function by its name.
    static let functions: [String: TemplateFunction] = {
        var table = FunctionTable()
        table.addLanguage()
        table.addComparison()
        table.addWerf()
        table.addDefaults()
        table.addStrings()
        table.addCases()
        table.addRegex()
        table.addEncoding()
        table.addConversion()
        table.addNumbers()
        table.addLists()
        table.addMaps()
        table.addReflection()
        table.addPaths()
        table.addVersions()
        table.addDates()
        return table.functions
    }()

    /// Names of sprig's that are refused, and why.
    static let refused: [String: String] = {
        let random = "its result differs each time, so that no build would be found again"
        let secret = "keys and certificates don't belong into a build's description, and differ each time"
        var refused: [String: String] = [:]
        for name in ["randAlpha", "randAlphaNum", "randAscii", "randNumeric", "randBytes", "randInt", "shuffle", "uuidv4"] {
            refused[name] = random
        }
        for name in [
            "genPrivateKey", "genCA", "genCAWithKey", "genSelfSignedCert", "genSelfSignedCertWithKey", "genSignedCert",
            "genSignedCertWithKey", "buildCustomCert", "htpasswd", "bcrypt", "derivePassword", "encryptAES", "decryptAES",
        ] {
            refused[name] = secret
        }
        refused["getHostByName"] = "the network's answer differs by place and time"
        return refused
    }()

    static func knows(_ name: String) -> Bool { functions[name] != nil }

    /// Why a name can't be called.
    static func unknown(_ name: String) -> String {
        if let reason = refused[name] { return "function \"\(name)\" is not supported: \(reason)" }
        return "function \"\(name)\" not defined"
    }
}

/// The registry while it is filled.
struct FunctionTable {
    private(set) var functions: [String: TemplateFunction] = [:]
    var family = Registry.Family.language

    /// A function under its name and its aliases, with a fixed number of arguments.
    mutating func add(_ names: String..., count: Int, _ body: @escaping @Sendable (Arguments) throws -> Value) {
        for name in names { functions[name] = TemplateFunction(family: family, minimum: count, maximum: count, body: body) }
    }

    mutating func add(
        _ names: String..., from minimum: Int, to maximum: Int? = nil, _ body: @escaping @Sendable (Arguments) throws -> Value
    ) {
        for name in names { functions[name] = TemplateFunction(family: family, minimum: minimum, maximum: maximum, body: body) }
    }
}
