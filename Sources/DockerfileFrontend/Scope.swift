/// The variables of a stage at one of its instructions: ENV, and ARG where no ENV hides it.
struct Scope {
    /// `NAME=value` of ENV, in the order of definition, each name once.
    private(set) var environment: [String]
    /// ARGs with a value, in the order of declaration, each name once.
    private(set) var arguments: [Pair] = []
    private var environmentIndexes: [String: Int] = [:]
    private var environmentValues: [String: String] = [:]
    private var argumentIndexes: [String: Int] = [:]
    // What RUN gets, until ENV or ARG change it: the steps share one copy.
    private var joined: [String]?

    /// - Parameters:
    ///   - environment: of the base; the first of several entries of one name counts.
    ///   - arguments: of the stage below: a stage built upon another has its ARGs too.
    init(environment: [String], arguments: [Pair]) {
        self.environment = environment
        for (index, entry) in environment.enumerated() {
            guard let (name, value) = entry.cut(at: "="), environmentIndexes[name] == nil else { continue }
            environmentIndexes[name] = index
            environmentValues[name] = value
        }
        for argument in arguments { setArgument(argument) }
    }

    /// nil for a variable that is not set.
    subscript(name: String) -> String? {
        environmentValues[name] ?? argumentIndexes[name].map { arguments[$0].value }
    }

    mutating func setEnvironment(_ pair: Pair) {
        joined = nil
        let entry = "\(pair.name)=\(pair.value)"
        if let index = environmentIndexes[pair.name] {
            environment[index] = entry
        } else {
            environmentIndexes[pair.name] = environment.count
            environment.append(entry)
        }
        environmentValues[pair.name] = pair.value
    }

    mutating func setArgument(_ pair: Pair) {
        joined = nil
        if let index = argumentIndexes[pair.name] {
            arguments[index] = pair
        } else {
            argumentIndexes[pair.name] = arguments.count
            arguments.append(pair)
        }
    }

    /// ARGs that no ENV hides.
    var visibleArguments: [Pair] { arguments.filter { environmentValues[$0.name] == nil } }

    /// What RUN gets: ENV, then the ARGs that no ENV hides.
    mutating func forCommands() -> [String] {
        if let joined { return joined }
        let result = environment + visibleArguments.map { "\($0.name)=\($0.value)" }
        joined = result
        return result
    }
}

/// How much text a plan may still make by expansion. A reference, so that all stages of one plan draw on it; it lives for one call.
final class ExpansionBudget {
    /// A real plan has some kilobytes; a file of a few lines could ask for terabytes (`ENV b=$a c=$a …` with a long `a`).
    static let maximumBytes = 32 << 20
    private var left = ExpansionBudget.maximumBytes

    func spend(_ text: String) throws(Complaint) {
        left -= text.utf8.count
        guard left >= 0 else { throw Complaint("the file's variables expand to more than \(Self.maximumBytes) bytes in all") }
    }
}
