/// Makes instructions of logical lines: checks their form, expands nothing.
struct InstructionParser {
    let escape: UInt8

    static let keywords = [
        "ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL", "MAINTAINER", "ONBUILD", "RUN", "SHELL",
        "STOPSIGNAL", "USER", "VOLUME", "WORKDIR",
    ]

    /// Of one RUN.
    static let maximumMounts = 200

    private static let flags: [String: [String: Flags.Kind]] = [
        "FROM": ["platform": .value],
        "RUN": ["mount": .list, "network": .value, "security": .value, "device": .refused],
        "COPY": ["from": .value, "chown": .value, "chmod": .value, "link": .truth, "exclude": .list, "parents": .refused],
        "ADD": [
            "from": .value, "chown": .value, "chmod": .value, "link": .truth, "exclude": .list, "unpack": .truth, "checksum": .refused,
            "keep-git-dir": .refused,
        ],
        "HEALTHCHECK": ["interval": .value, "timeout": .value, "start-period": .value, "start-interval": .value, "retries": .value],
    ]

    func parse(_ line: LogicalLine) throws(Complaint) -> Instruction {
        guard Self.keywords.contains(line.keyword) else {
            throw Complaint("unknown instruction: \(line.keyword)", line.keyword, among: Self.keywords)
        }
        // An argument that only looks like a flag (`CMD --help`) is left to those instructions that have none.
        let known = Self.flags[line.keyword]
        let flags = try known.map { known throws(Complaint) in try Flags(line, known: known, escape: escape) }
        let arguments = flags?.rest ?? line.arguments
        guard !arguments.isEmpty else { throw Complaint("\(line.keyword) needs at least one argument") }
        var instruction = Instruction(
            kind: try kind(line, flags: flags, arguments: arguments), text: Self.display(line), lines: line.lines, refusal: flags?.refusal)
        if flags?["security"] == "insecure" { instruction.refusal = "RUN --security=insecure is not built yet" }
        return instruction
    }

    private func kind(_ line: LogicalLine, flags: Flags?, arguments: String) throws(Complaint) -> Instruction.Kind {
        switch line.keyword {
        case "FROM": try from(arguments, platform: flags?["platform"])
        case "ARG": .arg(try definitions(arguments))
        case "ENV": try env(arguments)
        case "LABEL": .label(try pairs(arguments, of: "LABEL").pairs)
        case "RUN": .run(try run(line, flags: flags, arguments: arguments))
        case "COPY", "ADD": .copy(try copy(line, flags: flags, arguments: arguments))
        case "CMD": .cmd(try commandLine(arguments, of: "CMD"))
        case "ENTRYPOINT": .entrypoint(try commandLine(arguments, of: "ENTRYPOINT"))
        case "SHELL": .shell(try shell(arguments))
        case "VOLUME": .volume(try list(arguments, of: "VOLUME"))
        case "HEALTHCHECK": .healthcheck(try healthcheck(arguments, flags: flags))
        case "ONBUILD": .onBuild(try trigger(line))
        case "WORKDIR": .workdir(arguments)
        case "USER": .user(arguments)
        case "EXPOSE": .expose(arguments)
        case "STOPSIGNAL": .stopSignal(arguments)
        default: .maintainer(arguments)
        }
    }

    // One line for progress and history: runs of white space become one blank.
    private static func display(_ line: LogicalLine) -> String {
        let text = ([line.keyword] + line.arguments.fields).joined(separator: " ")
        let summary = line.heredocs.map(\.summary).filter { !$0.isEmpty }
        return summary.isEmpty ? text : "\(text) (\(summary.joined(separator: ", ")))"
    }

    // MARK: FROM, ARG, ENV, LABEL

    private func from(_ arguments: String, platform: String?) throws(Complaint) -> Instruction.Kind {
        let words = arguments.fields
        if words.count == 1 { return .from(image: words[0], name: nil, platform: platform) }
        guard words.count == 3, words[1].uppercased() == "AS" else {
            throw Complaint("FROM \(arguments): expected FROM image, or FROM image AS name")
        }
        let name = words[2].lowercased()
        let allowed = name.utf8.allSatisfy { $0.isLetter || $0.isDigit || "-_.".utf8.contains($0) }
        guard allowed, name.utf8.first?.isLetter == true else {
            throw Complaint("invalid stage name '\(words[2])': expected a letter, then letters, digits, '-', '_' and '.'")
        }
        return .from(image: words[0], name: name, platform: platform)
    }

    private func definitions(_ arguments: String) throws(Complaint) -> [Definition] {
        var result: [Definition] = []
        for word in Words(arguments, escape: escape).words {
            let (name, value) = word.cut(at: "=").map { ($0.before, Optional($0.after)) } ?? (word, nil)
            guard !name.isEmpty else { throw Complaint("ARG \(word): a name is missing before '='") }
            result.append(Definition(name: name, value: value))
        }
        return result
    }

    private func env(_ arguments: String) throws(Complaint) -> Instruction.Kind {
        let (pairs, legacy) = try pairs(arguments, of: "ENV")
        return .env(pairs, legacy: legacy)
    }

    private func pairs(_ arguments: String, of keyword: String) throws(Complaint) -> (pairs: [Pair], legacy: Bool) {
        let words = Words(arguments, escape: escape).words
        guard let first = words.first else { throw Complaint("\(keyword) needs at least one argument") }
        guard first.utf8.contains(UInt8(ascii: "=")) else {
            let bytes = arguments.bytes
            let name = bytes.prefix { !$0.isSpace }
            let value = bytes[name.endIndex...].trimmed
            guard !value.isEmpty else { throw Complaint("\(keyword) \(arguments): expected \(keyword) name=value") }
            return ([Pair(name: name.text, value: value.text)], true)
        }
        var result: [Pair] = []
        for word in words {
            guard let (name, value) = word.cut(at: "=") else {
                throw Complaint("\(keyword): '\(word)' has no '=': expected name=value (quote a value that has blanks)")
            }
            guard !name.isEmpty else { throw Complaint("\(keyword) \(word): a name is missing before '='") }
            result.append(Pair(name: name, value: value))
        }
        return (result, false)
    }

    // MARK: RUN and what has command lines

    private func run(_ line: LogicalLine, flags: Flags?, arguments: String) throws(Complaint) -> RunInstruction {
        let command = try commandLine(arguments, of: "RUN")
        if case .exec(let words) = command {
            guard !words.isEmpty else { throw Complaint("RUN needs at least one argument") }
            guard line.heredocs.isEmpty else { throw Complaint("RUN with heredocs needs the shell form, not JSON") }
        }
        var network: NetworkOption?
        if let text = flags?["network"] {
            network = NetworkOption(rawValue: text)
            let known = NetworkOption.allCases.map(\.rawValue)
            if network == nil { throw Complaint("RUN --network=\(text): expected default, none or host", text, among: known) }
        }
        if let text = flags?["security"], !["insecure", "sandbox"].contains(text) {
            throw Complaint("RUN --security=\(text): expected sandbox", text, among: ["sandbox"])
        }
        var mounts: [MountOption] = []
        if let options = flags?.list("mount"), options.count > Self.maximumMounts {
            throw Complaint("RUN has \(options.count) mounts: expected at most \(Self.maximumMounts)")
        }
        for text in flags?.list("mount") ?? [] { mounts.append(try MountOption(text)) }
        return RunInstruction(command: command, mounts: mounts, network: network, heredocs: line.heredocs)
    }

    private func commandLine(_ arguments: String, of keyword: String) throws(Complaint) -> CommandLine {
        switch JSONArray(arguments) {
        case .strings(let words): return .exec(words)
        case .otherValues: throw Complaint("\(keyword) \(arguments): a JSON array may hold strings only")
        case .none: return .shell(arguments)
        }
    }

    private func shell(_ arguments: String) throws(Complaint) -> [String] {
        guard case .strings(let words) = JSONArray(arguments), !words.isEmpty else {
            throw Complaint("SHELL \(arguments): expected JSON form, like SHELL [\"/bin/bash\", \"-c\"]")
        }
        return words
    }

    private func list(_ arguments: String, of keyword: String) throws(Complaint) -> [String] {
        switch JSONArray(arguments) {
        case .strings(let words):
            guard !words.isEmpty else { throw Complaint("\(keyword) needs at least one argument") }
            return words
        case .otherValues: throw Complaint("\(keyword) \(arguments): a JSON array may hold strings only")
        case .none: return arguments.fields
        }
    }

    private func healthcheck(_ arguments: String, flags: Flags?) throws(Complaint) -> HealthcheckInstruction {
        let bytes = arguments.bytes
        let word = bytes.prefix { !$0.isSpace }
        let rest = bytes[word.endIndex...].trimmed.text
        switch word.text.uppercased() {
        case "NONE":
            guard rest.isEmpty else { throw Complaint("HEALTHCHECK NONE takes no arguments") }
            return .none
        case "CMD":
            guard !rest.isEmpty else { throw Complaint("HEALTHCHECK CMD needs a command after CMD") }
            var durations = HealthcheckInstruction.Durations()
            durations.interval = try duration("interval", flags)
            durations.timeout = try duration("timeout", flags)
            durations.startPeriod = try duration("start-period", flags)
            durations.startInterval = try duration("start-interval", flags)
            if let text = flags?["retries"] {
                guard let retries = Int32(text), retries >= 0 else {
                    throw Complaint("HEALTHCHECK --retries=\(text): expected a number from 0")
                }
                durations.retries = Int(retries)
            }
            return .check(try commandLine(rest, of: "HEALTHCHECK CMD"), durations)
        default: throw Complaint("HEALTHCHECK \(word.text): expected CMD or NONE", word.text, among: ["CMD", "NONE"])
        }
    }

    private func duration(_ name: String, _ flags: Flags?) throws(Complaint) -> Int64 {
        guard let text = flags?[name] else { return 0 }
        guard let duration = GoDuration.nanoseconds(text), duration == 0 || duration >= GoDuration.millisecond else {
            throw Complaint("HEALTHCHECK --\(name)=\(text): expected a duration of at least 1ms, like 30s or 1m30s")
        }
        return duration
    }

    // MARK: COPY, ADD, ONBUILD

    private func copy(_ line: LogicalLine, flags: Flags?, arguments: String) throws(Complaint) -> CopyInstruction {
        let words = try list(arguments, of: line.keyword)
        guard words.count >= 2, let destination = words.last else {
            throw Complaint("\(line.keyword) \(arguments): expected at least one source and a destination")
        }
        if Heredoc(word: destination) != nil { throw Complaint("\(line.keyword): a heredoc can't be the destination") }
        var sources: [CopyInstruction.Source] = []
        var heredocs = line.heredocs
        for word in words.dropLast() {
            if let next = heredocs.first, let announced = Heredoc(word: word), announced.name == next.name {
                heredocs.removeFirst()
                guard !["", ".", ".."].contains(next.name), !next.name.utf8.contains(UInt8(ascii: "/")) else {
                    throw Complaint("\(line.keyword): '\(next.name)' can't be a file's name")
                }
                sources.append(.heredoc(next))
            } else {
                sources.append(.path(word))
            }
        }
        if let left = heredocs.first {
            throw Complaint("\(line.keyword): heredoc '\(left.name)' is no source: expected a name without blanks")
        }
        if let from = flags?["from"], from.utf8.contains(UInt8(ascii: "$")) {
            throw Complaint("\(line.keyword) --from=\(from): variables are not expanded there; name a stage: FROM \(from) AS name")
        }
        return CopyInstruction(
            isAdd: line.keyword == "ADD", sources: sources, destination: destination, from: flags?["from"], owner: flags?["chown"],
            mode: flags?["chmod"], excludes: flags?.list("exclude") ?? [],
            unpacks: line.keyword == "ADD" && flags?.isTrue("unpack", default: true) ?? true)
    }

    private func trigger(_ line: LogicalLine) throws(Complaint) -> String {
        guard line.heredocs.isEmpty else { throw Complaint("ONBUILD with heredocs is not supported") }
        guard let inner = LogicalLine.trigger(line.arguments, lines: line.lines) else { throw Complaint("ONBUILD needs an instruction") }
        guard !["ONBUILD", "FROM", "MAINTAINER"].contains(inner.keyword) else {
            throw Complaint("\(inner.keyword) is not allowed after ONBUILD")
        }
        _ = try parse(inner)
        return line.arguments
    }
}

extension LogicalLine {
    /// The instruction of an ONBUILD; nil where there is none.
    static func trigger(_ text: String, lines: ClosedRange<Int>) -> LogicalLine? {
        let bytes = text.bytes.trimmed
        let keyword = bytes.prefix { !$0.isSpace }
        guard !keyword.isEmpty else { return nil }
        return LogicalLine(keyword: keyword.text.uppercased(), arguments: bytes[keyword.endIndex...].trimmed.text, lines: lines)
    }
}
