import BuildPlan
import FarmAPI

/// Everything that `farm submit` was told, checked but not yet acted upon.
public struct SubmitOptions: Sendable {
    /// A folder.
    public var context = "."
    /// `-f`: nil for the context's Dockerfile, `-` for standard input.
    public var file: String?
    /// nil: the context folder's name.
    public var project: String?
    public var build = BuildOptions()
    public var outputs: [OutputSpec] = []
    public var progress = ProgressMode.auto
    /// Print the build's id and leave.
    public var detach = false
    /// Print nothing but the digest.
    public var quiet = false
    /// `--secret`.
    public var secrets: [SecretOption] = []
    /// `--image`: names in a werf.yaml; empty for all that are final.
    public var images: [String] = []
    /// `--loose`: a werf.yaml is built from the work tree as it is, and may use what it likes.
    public var loose = false
    /// `--env`: what a werf.yaml's `.Env` is; nil for `$WERF_ENV`.
    public var environmentName: String?
    public var iidFile: String?
    public var metadataFile: String?

    public init() {}

    /// `NAME=value`; NAME alone takes the value from the environment, and is left out where there is none.
    public static func keyValue(_ text: String, option: String, environment: [String: String]?) throws(ClientError) -> (String, String)? {
        guard let equals = text.firstIndex(of: "=") else {
            guard let environment, !text.isEmpty else { throw .usage("\(option) \(text): expected NAME=VALUE") }
            return environment[text].map { (text, $0) }
        }
        guard equals != text.startIndex else { throw .usage("\(option) \(text): expected NAME=VALUE") }
        return (String(text[..<equals]), String(text[text.index(after: equals)...]))
    }

    /// `64m`, `1g`, `4096`: powers of 1024 as docker reads them.
    public static func byteCount(_ text: String, option: String) throws(ClientError) -> UInt64 {
        let units: [Character: UInt64] = ["b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30]
        var digits = text.lowercased()[...]
        if digits.count > 1, digits.hasSuffix("b"), let before = digits.dropLast().last, units[before] != nil { digits = digits.dropLast() }
        var factor: UInt64 = 1
        if let last = digits.last, let unit = units[last] {
            factor = unit
            digits = digits.dropLast()
        }
        let (value, overflow) = (UInt64(digits) ?? 0).multipliedReportingOverflow(by: factor)
        guard !overflow, value > 0 else { throw .usage("\(option) \(text): expected a size such as 64m") }
        return value
    }

    /// `name:address` of `--add-host`; `name=address` is the newer form.
    public static func extraHost(_ text: String) throws(ClientError) -> String {
        guard let split = text.firstIndex(where: { $0 == ":" || $0 == "=" }), split != text.startIndex else {
            throw .usage("--add-host \(text): expected NAME:ADDRESS")
        }
        let name = text[..<split]
        var address = text[text.index(after: split)...]
        if address.hasPrefix("["), address.hasSuffix("]") { address = address.dropFirst().dropLast() }
        let allowed = "0123456789abcdefABCDEF.:"
        guard !address.isEmpty, address.allSatisfy({ allowed.contains($0) }), !name.contains(where: \.isWhitespace) else {
            throw .usage("--add-host \(text): '\(address)' is no IP address")
        }
        return "\(name):\(address)"
    }
}
