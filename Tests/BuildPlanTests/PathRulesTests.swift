import FoundationEssentials
import Testing

@testable import BuildPlan

struct PathRulesTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var filter: PathFilter
        var path: String
        var taken: Bool
        var testDescription: String {
            "\(path) of +\(filter.includes) -\(filter.excludes) \(filter.dependencies.map { "&\($0)" } ?? "")"
        }
        init(_ path: String, _ taken: Bool, _ includes: [String] = [], not excludes: [String] = [], and dependencies: [String]? = nil) {
            self.path = path
            self.taken = taken
            filter = PathFilter(includes: includes, excludes: excludes, dependencies: dependencies)
        }
    }

    @Test(
        "A file is taken when an include holds it and no exclude does",
        arguments: [
            Case("a", true), Case("a/b", true), Case("a", true, ["a"]), Case("b", false, ["a"]),
            // A directory takes all that is in it, whatever its name ends in.
            Case("a/b/c", true, ["a"]), Case("a/b/c", true, ["a/b"]), Case("ab", false, ["a"]), Case("a/b", true, ["/a/"]),
            Case("a/b", true, ["./a"]), Case("a", true, [""]), Case("a", true, ["."]),
            // One name.
            Case("x.go", true, ["*.go"]), Case("a/x.go", false, ["*.go"]), Case("a/x.go", true, ["*/*.go"]), Case("ax", true, ["?x"]),
            Case("a/x", false, ["?x"]), Case("ab", true, ["[a-c]b"]), Case("db", false, ["[a-c]b"]),
            // Any number of names.
            Case("x.go", true, ["**/*.go"]), Case("a/b/x.go", true, ["**/*.go"]), Case("a/b/x.c", false, ["**/*.go"]),
            Case("a/x", true, ["a/**/x"]), Case("a/b/c/x", true, ["a/**/x"]), Case("b/x", false, ["a/**/x"]),
            Case("a/b/c", true, ["a/**"]), Case("a/b", true, ["**"]), Case("a", true, ["**/*"]),
            // Excludes come last.
            Case("a/b", false, not: ["a"]), Case("a/b", false, ["a"], not: ["a/b"]), Case("a/c", true, ["a"], not: ["a/b"]),
            Case("a/x.md", false, not: ["**/*.md"]), Case("a/b/c", false, ["a/b/c"], not: ["a"]),
            // A second list narrows the first.
            Case("a", true, and: ["a"]), Case("b", false, and: ["a"]), Case("a", false, ["b"], and: ["a"]), Case("a", false, and: []),
            Case("a/b", true, ["a"], and: ["**/b"]), Case("a/b", false, not: ["a/b"], and: ["a"]),
        ])
    func files(_ test: Case) throws {
        let rules = try PathRules(excludes: [], filter: test.filter)
        #expect((rules.decision(path: Array(test.path.utf8), isDirectory: false) == .include) == test.taken)
        // No directory above a file that is taken may be passed over.
        var directory = ""
        for name in test.path.split(separator: "/").dropLast() where test.taken {
            directory += (directory.isEmpty ? "" : "/") + name
            #expect(rules.decision(path: Array(directory.utf8), isDirectory: true) != .exclude)
        }
    }

    @Test func `a directory in which nothing can be taken is not walked`() throws {
        let rules = try PathRules(
            excludes: ["a/tmp"], filter: PathFilter(includes: ["a/**/x", "b"], excludes: ["a/no"], dependencies: ["a"]))
        func decision(_ path: String) -> IgnorePatterns.Decision { rules.decision(path: Array(path.utf8), isDirectory: true) }
        #expect(decision("a") == .excludeButDescend)
        #expect(decision("a/deep") == .excludeButDescend)
        #expect(decision("b") == .exclude)
        #expect(decision("c") == .exclude)
        #expect(decision("a/no") == .exclude)
        #expect(decision("a/tmp") == .exclude)
        #expect(try PathRules(excludes: [], filter: PathFilter()).isEmpty)
        #expect(try !PathRules(excludes: [], filter: PathFilter(dependencies: [])).isEmpty)
    }

    @Test func `a glob that can't be read is an error that shows it`() {
        #expect(throws: PathPatternError.self) { try PathRules(excludes: [], filter: PathFilter(includes: ["a["])) }
    }

    @Test func `a plan that was stored before werf was known is read, with the defaults`() throws {
        let old = #"""
            {"platform":{"os":"linux","architecture":"amd64"},"stages":[{"base":{"scratch":{}},"config":{"env":[],"exposedPorts":[],"labels":{},"onBuild":[],"volumes":[]},
            "history":[],"name":"main","steps":[{"lines":[1,1],"name":"RUN x","operation":{"run":{"_0":{"arguments":["x"],"environment":[],
            "files":[],"mounts":[],"network":"host","unkeyedNames":[],"workingDirectory":"/"}}}}]}],"target":0,"warnings":[]}
            """#
        let plan = try JSONDecoder().decode(Plan.self, from: Data(old.utf8))
        #expect(plan.targets == [0])
        #expect(plan.stages[0].references.isEmpty)
        guard case .run(let run) = plan.stages[0].steps[0].operation else { return #expect(Bool(false)) }
        #expect(run == RunOperation(arguments: ["x"], environment: [], workingDirectory: "/"))
    }
}
