import Glibc

/// Why a file of the farm's set-up could not be made.
public enum SetupError: Error, Sendable, Equatable, CustomStringConvertible {
    /// Nothing is ever overwritten.
    case exists(String)
    case missing(String, hint: String)
    case badName(String)
    case nameTaken(String, file: String)
    case badTokens(file: String)
    case inUse(String)
    case badAddress(String)
    case failed(String, String, Int32)

    public var description: String {
        switch self {
        case .exists(let path): "\(path) is there already and is not overwritten; remove it first if it may go"
        case .missing(let path, let hint): "\(path) is not there; \(hint)"
        case .badName(let name):
            "'\(name)' can't be a name: 1 to \(SetupName.longest) letters, digits, '.', '-' and '_', beginning with a letter or digit"
        case .nameTaken(let name, let file): "\(file) has '\(name)' already; choose another name or remove its line"
        case .badTokens(let file): "\(file) is damaged: each line must be `NAME SHA-256-HEX TIME`"
        case .badAddress(let text): "'\(text)' is no address: expected HOST:PORT"
        case .inUse(let directory): "another coordinator runs on \(directory); stop it first"
        case .failed(let action, let path, let code): "can't \(action) \(path): \(String(cString: strerror(code)))"
        }
    }
}

/// The names of agents, clients and tokens: they go into certificates, files and logs.
enum SetupName {
    /// What a certificate's common name takes.
    static let longest = 64

    static func isValid(_ name: String) -> Bool {
        guard (1...longest).contains(name.utf8.count), let first = name.utf8.first, isAlphanumeric(first) else { return false }
        return name.utf8.allSatisfy { isAlphanumeric($0) || $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "_") }
    }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
        default: false
        }
    }
}
