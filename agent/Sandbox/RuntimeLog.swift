import FoundationEssentials

/// How a step's command ended.
public struct StepEnd: Sendable {
    /// Of the command; 128 + the signal's number; 126 and 127 where it can't be executed or is not there, as a shell has them.
    public let code: Int
    /// The memory that it was held to, in bytes, where it went over it and the kernel ended a process of it.
    public var exceededMemory: UInt64?
}

/// The runtime's own words, which it writes into a file so that they don't mix with the step's.
enum RuntimeLog {
    private static let limit = 1 << 20
    static let notExecutable = 126
    static let notFound = 127

    private struct Line: Decodable {
        var level: String?
        var msg: String
    }

    /// Tells a command that ended from one that the runtime could not start; it has written the latter's reason to the output too.
    static func end(code: Int32, log: String) throws -> StepEnd {
        guard code != 0, let message = message(in: try Files.read(log, limit: limit) ?? []) else {
            return StepEnd(code: Int(code))
        }
        guard let ownCode = codeOfCommand(message) else {
            throw isOfStep(message) ? SandboxError.badStep(message) : SandboxError.runtime(message)
        }
        return StepEnd(code: ownCode)
    }

    /// The last line of level error.
    static func message(in log: [UInt8]) -> String? {
        log.split(separator: UInt8(ascii: "\n")).compactMap { line -> String? in
            guard let line = try? JSONDecoder().decode(Line.self, from: Data(line)) else { return nil }
            return line.level == "error" || line.level == "fatal" ? line.msg : nil
        }.last
    }

    /// What no machine would start: the command's length, its directory, places for mounts that are not what they should be.
    static func isOfStep(_ message: String) -> Bool {
        let text = message.lowercased()
        return userErrors.contains { text.contains($0) }
    }

    private static let userErrors = [
        "argument list too long", "chdir", "not a directory", "is a directory", "file name too long", "too many levels of symbolic",
    ]

    /// What a shell would have answered, where the message is about the command itself.
    static func codeOfCommand(_ message: String) -> Int? {
        let text = message.lowercased()
        guard text.contains("executable") || text.contains("exec: ") || text.contains("exec `") else { return nil }
        if text.contains("not found") || text.contains("no such file") { return notFound }
        if text.contains("permission denied") || text.contains("format error") || text.contains("is a directory") { return notExecutable }
        return nil
    }
}
