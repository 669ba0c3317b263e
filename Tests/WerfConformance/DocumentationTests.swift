import Foundation
import Testing

@testable import WerfFrontend

@Suite struct DocumentationTests {
    private static let begin = "<!-- directives: made by the parser's own tables, held by WerfConformance -->\n"
    private static let end = "<!-- end of directives -->\n"

    /// The table as the parser's own lists give it.
    private var table: String {
        var text = ""
        for (index, group) in Directives.groups.enumerated() {
            let title =
                switch group.name {
                case "meta": "Meta section"
                case "image" where index + 1 == Directives.groups.count: "`image`, built by a Dockerfile"
                case "image": "`image`, built by stages"
                default: "`\(group.name)`"
                }
            text += "\n### \(title)\n\n| Directive | | |\n|---|---|---|\n"
            for directive in group.directives {
                switch directive.state {
                case .supported(let note): text += "| `\(directive.name)` | yes | \(note) |\n"
                case .ignored(let reason): text += "| `\(directive.name)` | without effect | \(reason) |\n"
                case .refused(let reason): text += "| `\(directive.name)` | refused | \(reason) |\n"
                }
            }
        }
        return text.replacing(" |  |", with: " | |") + "\n"
    }

    @Test func `The documentation's table of directives is what the parser knows`() throws {
        let path = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../docs/werf.md").standardized.path
        let text = try String(contentsOfFile: path, encoding: .utf8)
        let begin = try #require(text.range(of: Self.begin))
        let end = try #require(text.range(of: Self.end))
        let found = String(text[begin.upperBound..<end.lowerBound])
        if found != table, ProcessInfo.processInfo.environment["FARM_WRITE_DOCS"] != nil {
            let new = text[..<begin.upperBound] + table + text[end.lowerBound...]
            try String(new).write(toFile: path, atomically: true, encoding: .utf8)
        } else {
            #expect(found == table, "run the tests with FARM_WRITE_DOCS=1 to write the table")
        }
    }

    @Test func `Every refusal is a sentence with the directive's name in front`() {
        for group in Directives.groups {
            for directive in group.directives {
                guard case .refused(let reason) = directive.state else { continue }
                #expect(reason.hasPrefix("is not built yet") || reason.hasPrefix("is not supported"), "\(group.name) \(directive.name)")
            }
            #expect(Set(group.directives.map(\.name)).count == group.directives.count)
        }
    }

    @Test(arguments: ["stapel", "dockerfile", "git", "import", "docker"])
    func `Every directive that the table refuses is refused`(_ name: String) throws {
        let groups: [String: (DirectiveGroup, (String) -> String)] = [
            "stapel": (Directives.stapel, { "from: a\n\($0): x\n" }),
            "dockerfile": (Directives.dockerfile, { "dockerfile: a\n\($0): x\n" }),
            "git": (Directives.git, { "from: a\ngit: [{\($0): x}]\n" }),
            "import": (Directives.imports, { "from: a\nimport: [{\($0): x}]\n" }),
            "docker": (Directives.docker, { "from: a\ndocker: {\($0): x}\n" }),
        ]
        let (group, file) = try #require(groups[name])
        for directive in group.directives {
            guard case .refused(let reason) = directive.state else { continue }
            #expect(imageError(file(directive.name)).contains("'\(directive.name)' \(reason)"))
        }
    }
}
