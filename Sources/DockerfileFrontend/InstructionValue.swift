import BuildPlan

/// Arguments of instructions, for other files that say what a Dockerfile's instructions say: werf.yaml's `docker` directive.
public enum InstructionValue {
    /// Why an argument can't be read: the text and what was expected.
    public struct Invalid: Error, Hashable, Sendable, CustomStringConvertible {
        public let description: String
    }

    /// The ports that EXPOSE's argument names, each with its protocol: `80`, `53/udp`, `8000-8010`.
    public static func ports(_ text: String) throws(Invalid) -> [String] {
        try telling { () throws(Complaint) in try PortRange.ports(text) }
    }

    /// The arguments of HEALTHCHECK: `NONE`, or flags and `CMD command` in either form.
    public static func healthcheck(_ text: String) throws(Invalid) -> Healthcheck {
        try telling { () throws(Complaint) in
            guard let line = LogicalLine.trigger("HEALTHCHECK " + text, lines: 1...1),
                case .healthcheck(let check) = try InstructionParser(escape: UInt8(ascii: "\\")).parse(line).kind
            else { throw Complaint("HEALTHCHECK \(text): expected CMD or NONE") }
            return check.value
        }
    }

    /// True for what STOPSIGNAL takes: a name with or without SIG, or a number.
    public static func isStopSignal(_ text: String) -> Bool { StopSignal.isKnown(text) }

    /// The words of a command in JSON form, `["a", "b"]`; nil for the shell form.
    public static func words(_ text: String) -> [String]? { if case .strings(let words) = JSONArray(text) { words } else { nil } }

    /// The text with `$NAME` and `${NAME…}` replaced as in ENV; quotes stay.
    ///
    /// - Parameter environment: `NAME=value`; what is not there is empty.
    public static func expand(_ text: String, environment: [String]) throws(Invalid) -> String {
        let scope = Scope(environment: environment, arguments: [])
        return try telling { () throws(Complaint) in
            try Expansion(escape: UInt8(ascii: "\\"), ignoresQuotes: true) { scope[$0] }.word(text)
        }
    }

    private static func telling<R>(_ body: () throws(Complaint) -> R) throws(Invalid) -> R {
        do throws(Complaint) {
            return try body()
        } catch { throw Invalid(description: error.message) }
    }
}

extension HealthcheckInstruction {
    /// What an image's configuration has of it.
    var value: Healthcheck {
        guard case .check(let line, let durations) = self else { return Healthcheck(test: ["NONE"]) }
        var result =
            switch line {
            case .shell(let text): Healthcheck(test: ["CMD-SHELL", text])
            case .exec(let words): Healthcheck(test: ["CMD"] + words)
            }
        result.interval = durations.interval
        result.timeout = durations.timeout
        result.startPeriod = durations.startPeriod
        result.startInterval = durations.startInterval
        result.retries = durations.retries
        return result
    }
}
