import Testing

@testable import BuildPlan

@Suite struct IgnorePatternsTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let file: String
        let path: String
        var isDirectory = false
        let decision: IgnorePatterns.Decision
        var testDescription: String { "\(file.debugDescription) on \(path)" }
    }

    @Test(
        "The last rule that holds decides",
        arguments: [
            Case(file: "", path: "a", decision: .include), Case(file: "a", path: "a", decision: .exclude),
            Case(file: "a", path: "a/b/c", decision: .exclude), Case(file: "a", path: "b/a", decision: .include),
            Case(file: "# a\nb", path: "a", decision: .include), Case(file: " # a", path: "# a", decision: .exclude),
            Case(file: "/a", path: "a", decision: .exclude), Case(file: "a/  \r\n", path: "a", decision: .exclude),
            Case(file: "./a/../b", path: "b", decision: .exclude), Case(file: "\u{FEFF}a", path: "a", decision: .exclude),
            Case(file: "\u{FEFF}# a\nb", path: "b", decision: .exclude), Case(file: "*\n!a", path: "a", decision: .include),
            Case(file: "*\n!a", path: "a/b", decision: .include), Case(file: "*\n!a", path: "b", decision: .exclude),
            Case(file: "!a\n*", path: "a", decision: .exclude), Case(file: "*\n! /a ", path: "a", decision: .include),
            Case(file: "*.md\n!README*.md\nREADME-secret.md", path: "README-secret.md", decision: .exclude),
            Case(file: "*.md\n!README*.md\nREADME-secret.md", path: "README-x.md", decision: .include),
            Case(file: "**/*.o", path: "x/y/z.o", decision: .exclude), Case(file: "**", path: "x/y", decision: .exclude),
            Case(file: "a/**", path: "a", isDirectory: true, decision: .include), Case(file: "a/**", path: "a/b", decision: .exclude),
            Case(file: ".", path: "a", decision: .include), Case(file: "..", path: "a", decision: .include),
            Case(file: "/", path: "a", decision: .include), Case(file: "a", path: "", isDirectory: true, decision: .include),
            Case(file: "a", path: "a", isDirectory: true, decision: .exclude),
            Case(file: "a\n!a/b", path: "a", isDirectory: true, decision: .excludeButDescend),
            Case(file: "a\n!a/b", path: "a", isDirectory: false, decision: .exclude),
            Case(file: "!a/b\na", path: "a", isDirectory: true, decision: .exclude),
            Case(file: "a\n!b/c", path: "a", isDirectory: true, decision: .exclude),
            Case(file: "*\n!**/x", path: "a", isDirectory: true, decision: .excludeButDescend),
            Case(file: "*\n!a/*/c", path: "a/b", isDirectory: true, decision: .excludeButDescend),
            Case(file: "*\n!a/*/c", path: "b", isDirectory: true, decision: .exclude),
            Case(file: "*\n!a/*/c\na/b", path: "a/b", isDirectory: true, decision: .exclude),
            Case(file: "*\n!a/b/c", path: "a/b/c/d", isDirectory: true, decision: .include),
        ])
    func decides(example: Case) throws {
        #expect(try IgnorePatterns(file: example.file).decision(path: example.path, isDirectory: example.isDirectory) == example.decision)
    }

    @Test("A malformed rule names its line")
    func malformed() {
        #expect(throws: IgnoreFileError(line: 3, reason: "'!' needs a pattern after it")) { try IgnorePatterns(file: "a\n\n! \n") }
        #expect { try IgnorePatterns(file: "a\n[") } throws: { "\($0)".hasPrefix("line 2: pattern '['") }
    }

    @Test("Walking with the decisions finds exactly the files that the rules include")
    func walking() throws {
        var random = SeededGenerator(seed: 11)
        let files = (0..<64).map { n in "\(["a", "b", "c", "d"][n & 3])/\(["a", "b", "c", "d"][n >> 2 & 3])/\(["a", "b", "c", "d"][n >> 4])"
        }
        for _ in 0..<1_000 {
            let lines = (0..<4).map { _ in random.text(of: ["!"], upTo: 1) + random.text(of: ["a", "b", "*", "/", "**/", "?"], upTo: 5) }
                .filter { $0 != "!" }
            let rules = try IgnorePatterns(patterns: lines)
            for file in files where rules.decision(path: file, isDirectory: false) == .include {
                let parents = file.split(separator: "/")
                for depth in 1..<parents.count {
                    let directory = parents[..<depth].joined(separator: "/")
                    #expect(rules.decision(path: directory, isDirectory: true) != .exclude, "\(lines) hides \(file) below \(directory)")
                }
            }
        }
    }
}
