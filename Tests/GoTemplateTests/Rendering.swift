import GoTemplate
import Testing

/// A template and what it renders to, or a part of its error.
struct Case: CustomTestStringConvertible, Sendable {
    let template: String
    let expected: String

    init(_ template: String, _ expected: String) {
        self.template = template
        self.expected = expected
    }

    var testDescription: String { template }
}

/// The context of all cases: two variables, some files, a commit, and a clock that stands.
let standardContext = TemplateContext(
    environmentName: "production", commit: .init(hash: "0123abcd", unixTime: 1_577_880_000), branch: "main",
    variable: { ["HOME": "/root", "EMPTY": "", "SECRET": "s3"][$0] },
    paths: { ["README.md", "conf/a.yaml", "conf/b.yaml", "conf/deep/c.yaml", "tpl.txt", "weird[1].txt"] },
    contents: { Array("<\($0)>\n".utf8) },
    now: { .init(unixTime: 1_577_883_600, nanoseconds: 5_000_000) })

func render(_ text: String, files: [(String, String)] = [], context: TemplateContext = standardContext) throws -> String {
    try WerfTemplate(files: files.map { (name: $0.0, text: $0.1) } + [(name: "werf.yaml", text: text)], main: "werf.yaml").render(context)
}

/// The error of a template that has one.
func failure(_ text: String, files: [(String, String)] = [], context: TemplateContext = standardContext) -> TemplateError? {
    do {
        _ = try render(text, files: files, context: context)
        return nil
    } catch { return error as? TemplateError }
}
