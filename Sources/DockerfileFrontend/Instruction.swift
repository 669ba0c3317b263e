/// One instruction, read but not yet expanded.
struct Instruction: Hashable {
    let kind: Kind
    /// The keyword in upper case and the arguments, on one line.
    let text: String
    let lines: ClosedRange<Int>
    /// Something of the language that is known but not built yet: an error as soon as the instruction is needed.
    var refusal: String?

    enum Kind: Hashable {
        case from(image: String, name: String?, platform: String?)
        case arg([Definition])
        case env([Pair], legacy: Bool)
        case run(RunInstruction)
        case copy(CopyInstruction)
        case workdir(String)
        case user(String)
        case shell([String])
        case cmd(CommandLine)
        case entrypoint(CommandLine)
        case label([Pair])
        case expose(String)
        case volume([String])
        case stopSignal(String)
        case healthcheck(HealthcheckInstruction)
        case maintainer(String)
        case onBuild(String)
    }
}

/// `name=value` of ENV and LABEL.
struct Pair: Hashable {
    let name: String
    let value: String
}

/// `name[=default]` of ARG.
struct Definition: Hashable {
    let name: String
    let value: String?
}

/// The arguments of RUN, CMD, ENTRYPOINT.
enum CommandLine: Hashable {
    case shell(String)
    case exec([String])
}

struct RunInstruction: Hashable {
    let command: CommandLine
    let mounts: [MountOption]
    /// nil for the build's own.
    let network: NetworkOption?
    let heredocs: [Heredoc]
}

enum NetworkOption: String, Hashable, CaseIterable {
    case `default`, none, host
}

struct CopyInstruction: Hashable {
    let isAdd: Bool
    let sources: [Source]
    let destination: String
    let from: String?
    let owner: String?
    let mode: String?
    let excludes: [String]
    let unpacks: Bool

    enum Source: Hashable {
        case path(String)
        case heredoc(Heredoc)
    }
}

enum HealthcheckInstruction: Hashable {
    case none
    case check(CommandLine, Durations)

    struct Durations: Hashable {
        var interval: Int64 = 0
        var timeout: Int64 = 0
        var startPeriod: Int64 = 0
        var startInterval: Int64 = 0
        var retries = 0
    }
}
