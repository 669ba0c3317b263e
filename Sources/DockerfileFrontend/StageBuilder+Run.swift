import BuildPlan

extension StageBuilder {
    /// RUN.
    mutating func apply(_ run: RunInstruction, _ instruction: Instruction) throws(Complaint) {
        var files: [InlineFile] = []
        let arguments: [String]
        switch run.command {
        case .exec(let words): arguments = words
        case .shell(let text):
            (arguments, files) = shellForm(text, run.heredocs)
        }
        let network: NetworkMode =
            switch run.network {
            case .host: .host
            case .none?: .none
            case .default, nil: graph.options.network
            }
        var operation = RunOperation(
            arguments: arguments, environment: scope.forCommands(), workingDirectory: workingDirectory, user: config.user, network: network,
            mounts: try mounts(run.mounts), files: files)
        addProxies(to: &operation)
        let used = scope.visibleArguments.map { "\($0.name)=\($0.value)" }
        let prefix = used.isEmpty ? "" : "|\(used.count) \(used.joined(separator: " ")) "
        add(.run(operation), text: instruction.text, history: "RUN \(prefix)\(arguments.joined(separator: " "))", instruction)
    }

    // A heredoc alone is a script: with `#!` a file that is run, else text for the shell. Any other use of heredocs is left to the shell.
    private func shellForm(_ text: String, _ heredocs: [Heredoc]) -> (arguments: [String], files: [InlineFile]) {
        let shell = config.shell ?? Self.defaultShell
        guard let first = heredocs.first else { return (shell + [text], []) }
        guard heredocs.count == 1, Heredoc(word: text)?.name == first.name else {
            let full = text + heredocs.map { "\n\($0.raw)\($0.name)" }.joined()
            return (shell + [full], [])
        }
        guard first.content.begins(with: "#!") else { return (shell + [first.content], []) }
        // The name is the file's: a slash or a dot would lead out of the folder.
        let isName = !first.name.utf8.contains(UInt8(ascii: "/")) && ![".", ".."].contains(first.name)
        let path = "\(Self.scriptFolder)/\(isName ? first.name : "script")"
        return ([path], [InlineFile(path: path, content: first.content)])
    }

    // The last of several mounts on one target counts; parents come before what is inside them.
    private func mounts(_ options: [MountOption]) throws(Complaint) -> [Mount] {
        var mounts: [Mount] = []
        for option in options {
            let mount = try option.mount(
                workingDirectory: workingDirectory, tree: try tree(option.from), expand: { text throws(Complaint) in try expand(text) })
            // By bytes: Swift's == takes two spellings of an accent for one. A secret that is only a variable is mounted nowhere.
            if mount.isVisible { mounts.removeAll { $0.isVisible && $0.target.bytes == mount.target.bytes } }
            mounts.append(mount)
        }
        let depth = { (mount: Mount) in mount.target.utf8.count { $0 == UInt8(ascii: "/") } }
        return mounts.enumerated().sorted { (depth($0.element), $0.offset) < (depth($1.element), $1.offset) }.map(\.element)
    }

    private func addProxies(to operation: inout RunOperation) {
        for name in FrontendOptions.proxyNames {
            guard let proxy = graph.options.buildArguments[name], scope[name] == nil else { continue }
            operation.environment.append("\(name)=\(proxy)")
            operation.unkeyedNames.append(name)
        }
    }
}
