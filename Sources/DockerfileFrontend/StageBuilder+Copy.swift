import BuildPlan

extension StageBuilder {
    /// COPY and ADD.
    mutating func apply(_ copy: CopyInstruction, _ instruction: Instruction) throws(Complaint) {
        let keyword = copy.isAdd ? "ADD" : "COPY"
        var sources: [CopySource] = []
        var shown: [String] = []
        for source in copy.sources {
            switch source {
            case .heredoc(let heredoc):
                sources.append(.inline(InlineFile(path: heredoc.name, content: try content(of: heredoc))))
                shown.append("<<\(heredoc.name)")
            case .path(let text):
                let path = try expand(text)
                guard !path.isEmpty else { throw Complaint("\(keyword): source '\(text)' is empty") }
                if copy.isAdd, Self.isRemote(path) { throw Complaint("ADD \(path): sources from the network are not built yet") }
                let relative = CleanPath.relativeToRoot(path)
                do throws(PathPatternError) {
                    _ = try PathPattern(relative, syntax: .copy)
                } catch { throw Complaint("\(keyword): \(error)") }
                sources.append(.tree(relative))
                shown.append(path)
            }
        }
        let target = try expand(copy.destination)
        let operation = CopyOperation(
            sources: sources, from: try tree(copy.from), destination: destination(target, isDirectory: sources.count > 1),
            owner: try owner(copy.owner, keyword), mode: try mode(copy.mode, keyword), unpacksArchives: copy.unpacks,
            excludes: try excludes(copy.excludes, keyword))
        let flags = [
            copy.from.map { "--from=\($0)" }, operation.owner.map { "--chown=\($0)" },
            operation.mode.map { "--chmod=\(String($0, radix: 8))" },
        ].compactMap(\.self)
        let text = ([keyword] + flags + operation.excludes.map { "--exclude=\($0)" } + shown + [target]).joined(separator: " ")
        add(.copy(operation), text: text, history: text, instruction)
    }

    // A slash or a dot at the end, or several sources, say that the destination is a directory.
    private func destination(_ text: String, isDirectory: Bool) -> String {
        let path = CleanPath.join(workingDirectory, text)
        let saysSo =
            text.isEmpty || text == "." || text == ".."
            || ["/", "/.", "/.."].contains { text.utf8.reversed().starts(with: $0.utf8.reversed()) }
        return (isDirectory || saysSo) && path != "/" ? path + "/" : path
    }

    private func content(of heredoc: Heredoc) throws(Complaint) -> String {
        heredoc.expands ? try expandHeredoc(heredoc.content) : heredoc.content
    }

    private func owner(_ text: String?, _ keyword: String) throws(Complaint) -> String? {
        guard let text else { return nil }
        let owner = try expand(text)
        let parts = owner.utf8.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
        guard (1...2).contains(parts.count), parts.allSatisfy({ !$0.isEmpty }), owner.utf8.allSatisfy({ !$0.isSpace }) else {
            throw Complaint("\(keyword) --chown=\(owner): expected user or user:group")
        }
        return owner
    }

    private func mode(_ text: String?, _ keyword: String) throws(Complaint) -> UInt16? {
        guard let text else { return nil }
        let mode = try expand(text)
        if let bits = OctalMode.read(mode) { return bits }
        let isSymbolic = !mode.isEmpty && mode.utf8.allSatisfy { "ugoa+-=rwxXst,".utf8.contains($0) }
        throw Complaint(
            "\(keyword) --chmod=\(mode): "
                + (isSymbolic ? "symbolic modes are not built yet, expected octal digits, like 0755" : "expected octal digits, like 0755"))
    }

    private func excludes(_ patterns: [String], _ keyword: String) throws(Complaint) -> [String] {
        var result: [String] = []
        for text in patterns { result.append(try expand(text)) }
        do throws(IgnoreFileError) {
            _ = try IgnorePatterns(patterns: result)
        } catch { throw Complaint("\(keyword) --exclude: \(error.reason)") }
        return result
    }

    private static func isRemote(_ source: String) -> Bool {
        let lowered = source.lowercased()
        return ["http://", "https://", "ftp://", "git://", "ssh://", "git@"].contains { lowered.begins(with: $0) }
    }
}
