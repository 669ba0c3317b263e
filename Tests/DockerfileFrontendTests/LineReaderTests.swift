import Testing

@testable import DockerfileFrontend

@Suite struct LineReaderTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let text: String
        /// `KEYWORD|arguments|first-last` of each instruction.
        let lines: [String]
        var testDescription: String { text.debugDescription }
        init(_ text: String, _ lines: [String]) {
            self.text = text
            self.lines = lines
        }
    }

    @Test(
        "Lines are joined and comments left out",
        arguments: [
            Case("", []), Case("\n\n", []), Case("# only\n#comments", []), Case("FROM a", ["FROM|a|1-1"]),
            Case("FROM a\n", ["FROM|a|1-1"]), Case("from a", ["FROM|a|1-1"]), Case("  FrOm \t a  ", ["FROM|a|1-1"]),
            Case("FROM a\r\nRUN b\r\n", ["FROM|a|1-1", "RUN|b|2-2"]), Case("\u{FEFF}FROM a", ["FROM|a|1-1"]),
            Case("\u{FEFF}# c\nFROM a", ["FROM|a|2-2"]), Case("RUN a \\\n b", ["RUN|a  b|1-2"]), Case("RUN a\\\nb", ["RUN|ab|1-2"]),
            Case("RUN a \\\r\n b\r\n", ["RUN|a  b|1-2"]), Case("RUN a \\  \t\n b", ["RUN|a  b|1-2"]),
            Case("RUN a \\\n# comment\n  b", ["RUN|a   b|1-3"]), Case("RUN a \\\n   # comment\n\n  b", ["RUN|a   b|1-4"]),
            Case("RUN a \\\\\nRUN b", ["RUN|a \\\\|1-1", "RUN|b|2-2"]), Case("RUN a # no comment", ["RUN|a # no comment|1-1"]),
            Case("# comment \\\nRUN a", ["RUN|a|2-2"]), Case("RUN a \\", ["RUN|a|1-1"]), Case("RUN \\\n\\\n\\\na", ["RUN|a|1-4"]),
            Case("\\\nRUN a", ["RUN|a|1-2"]), Case("RU\\\nN a", ["RUN|a|1-2"]), Case("RUN", ["RUN||1-1"]),
            Case("# escape=`\nRUN a `\nb\nRUN c \\\nRUN d", ["RUN|a b|2-3", "RUN|c \\|4-4", "RUN|d|5-5"]),
            Case("RUN a \\\n\n\n\nRUN b", ["RUN|a RUN b|1-5"]), Case("RUN <<E\na\nE\nRUN b", ["RUN|<<E|1-3", "RUN|b|4-4"]),
            Case("RUN \u{301}a", ["RUN|\u{301}a|1-1"]),
        ])
    func joined(example: Case) throws {
        let reader = try LineReader(example.text)
        #expect(reader.lines.map { "\($0.keyword)|\($0.arguments)|\($0.lines.lowerBound)-\($0.lines.upperBound)" } == example.lines)
    }

    struct HeredocCase: Sendable, CustomTestStringConvertible {
        let text: String
        /// `name:content:expands` of the first instruction's heredocs.
        let heredocs: [String]
        var testDescription: String { text.debugDescription }
        init(_ text: String, _ heredocs: [String]) {
            self.text = text
            self.heredocs = heredocs
        }
    }

    @Test(
        "Heredocs follow their instruction",
        arguments: [
            HeredocCase("RUN <<EOF\na\n  b\nEOF", ["EOF:a\n  b\n:true"]), HeredocCase("RUN <<EOF\nEOF", ["EOF::true"]),
            HeredocCase("RUN <<-EOF\n\ta\n\t\tb\n\tEOF", ["EOF:a\nb\n:true"]), HeredocCase("RUN <<EOF\n\tEOF\nEOF", ["EOF:\tEOF\n:true"]),
            HeredocCase("RUN <<\"EOF\"\n$a\nEOF", ["EOF:$a\n:false"]), HeredocCase("RUN <<'EOF'\na\nEOF", ["EOF:a\n:false"]),
            HeredocCase("RUN <<E\"O\"F\na\nEOF", ["EOF:a\n:false"]), HeredocCase("RUN 3<<EOF\na\nEOF", ["EOF:a\n:true"]),
            HeredocCase("RUN <<a <<b\n1\na\n2\nb", ["a:1\n:true", "b:2\n:true"]), HeredocCase("RUN cat <<a >x\n1\na", ["a:1\n:true"]),
            HeredocCase("RUN <<EOF\r\na\r\nEOF\r\n", ["EOF:a\r\n:true"]),
            HeredocCase("RUN <<EOF\n# no comment\n\\\nEOF", ["EOF:# no comment\n\\\n:true"]),
            HeredocCase("RUN cat <<<a", []), HeredocCase("RUN cat << EOF", []), HeredocCase("RUN echo $((1<<2))", []),
            HeredocCase("RUN echo '<<EOF'", []), HeredocCase("RUN echo \"<<EOF\"", []), HeredocCase("RUN echo it's <<EOF", []),
            HeredocCase("RUN echo \\\n  <<EOF\nx\nEOF", ["EOF:x\n:true"]), HeredocCase("RUN [\"a\", \"b <<EOF\"]", []),
            HeredocCase("ENV a=<<EOF", []), HeredocCase("COPY <<a.txt /\nx\na.txt", ["a.txt:x\n:true"]),
            HeredocCase("ADD <<a /\nx\na", ["a:x\n:true"]), HeredocCase("RUN <<--a\nx\n-a", ["-a:x\n:true"]),
            HeredocCase("RUN <<$x\ny\n$x", ["$x:y\n:true"]),
        ])
    func heredocs(example: HeredocCase) throws {
        let reader = try LineReader(example.text)
        #expect(reader.lines.first?.heredocs.map { "\($0.name):\($0.content):\($0.expands)" } == example.heredocs)
        #expect(reader.lines.count == 1)
    }

    @Test(
        "What can't be read names its line",
        arguments: [
            ("FROM a\nRUN <<EOF\nx\n", "Dockerfile:2: heredoc 'EOF' has no end: expected a line with EOF alone"),
            ("FROM a\nRUN a\u{0}b", "Dockerfile:2: the line has a NUL byte: a Dockerfile is UTF-8 text"),
            ("# escape=x\nFROM a", "Dockerfile:1: escape=x: expected \\ or `"),
            (
                "# syntax=docker/dockerfile:1\n# syntax=docker/dockerfile:1\nFROM a",
                "Dockerfile:2: the parser directive 'syntax' stands twice: one is allowed"
            ),
            (
                "#syntax = someone/else\nFROM a",
                "Dockerfile:1: syntax=someone/else: other frontends are not supported, expected docker/dockerfile:1"
            ),
            ("# check=skp=all\nFROM a", "Dockerfile:1: check=skp=all: unknown key 'skp' (did you mean skip?)"),
            ("# check=all\nFROM a", "Dockerfile:1: check=all: expected skip=…, error=… or experimental=…"),
        ])
    func errors(text: String, message: String) {
        #expect { try Dockerfile(parsing: text, name: "Dockerfile") } throws: { "\($0)" == message }
    }

    @Test(
        "Frontends of the language that is built in are accepted, others refused",
        arguments: [
            ("docker/dockerfile", true), ("docker/dockerfile:1", true), ("docker/dockerfile:1.7", true),
            ("docker/dockerfile:1.7-labs", true),
            ("docker/dockerfile:1-labs", true), ("docker.io/docker/dockerfile:1", true), ("docker/dockerfile:latest", true),
            ("docker/dockerfile:1@sha256:00", true), ("docker/dockerfile@sha256:00", true), ("docker/dockerfile:2", false),
            ("docker/dockerfile:10", false), ("docker/dockerfile-upstream:1", false), ("docker/dockerfiles:1", false),
            ("x/docker/dockerfile:1", false),
        ])
    func syntax(value: String, accepted: Bool) {
        let text = "# syntax=\(value)\nFROM scratch"
        if accepted {
            #expect(throws: Never.self) { try Dockerfile(parsing: text, name: "f") }
        } else {
            #expect(throws: DockerfileError.self) { try Dockerfile(parsing: text, name: "f") }
        }
    }

    @Test("Directives end with the first line that is none")
    func directivesEnd() throws {
        #expect(try LineReader("# about\n# escape=`\nRUN a").directives.escape == UInt8(ascii: "\\"))
        #expect(try LineReader("\n# escape=`\nRUN a").directives.escape == UInt8(ascii: "\\"))
        #expect(try LineReader("# unknown=1\n# escape=`\nRUN a").directives.escape == UInt8(ascii: "\\"))
        #expect(try LineReader("#Syntax=docker/dockerfile:1\n#  ESCAPE = ` \nRUN a").directives.escape == UInt8(ascii: "`"))
    }

    @Test("An empty line in a continued instruction is a warning with its line")
    func emptyContinuation() throws {
        let file = try Dockerfile(parsing: "FROM scratch\nENV a=1 \\\n\n  b=2", name: "f")
        #expect(file.warnings == ["f:3: an empty line inside a continued instruction will become an error"])
    }

    @Test(
        "Words are split outside of quotes",
        arguments: [
            ("a b", ["a", "b"]), ("a  \t b ", ["a", "b"]), ("'a b' c", ["'a b'", "c"]), ("\"a 'b\" c", ["\"a 'b\"", "c"]),
            ("a\\ b c", ["a\\ b", "c"]), ("a=\"x\\\" y\" b", ["a=\"x\\\" y\"", "b"]), ("'a\\' b", ["'a\\'", "b"]), ("", []), ("\\", ["\\"]),
            ("'a b", ["'a b"]),
        ])
    func words(text: String, words: [String]) { #expect(Words(text, escape: UInt8(ascii: "\\")).words == words) }

    @Test(
        "JSON arrays of strings are told from shell text",
        arguments: [
            ("[\"a\", \"b\"]", JSONArray.strings(["a", "b"])), ("[]", .strings([])), (" [ ] ", .strings([])), ("[\"\"]", .strings([""])),
            ("[\"a\\n\\\"\\u00e9\\ud83d\\ude00\\/\"]", .strings(["a\n\"é😀/"])), ("[\"\\ud83d\"]", .strings(["\u{FFFD}"])),
            ("[\"\\ud83d\\u0041\"]", .strings(["\u{FFFD}A"])), ("[1]", .otherValues), ("[\"a\", null]", .otherValues),
            ("[true]", .otherValues),
            ("['a']", .none), ("[\"a\" \"b\"]", .none), ("[\"a\",]", .none), ("[\"a\"", .none), ("[\"a", .none), ("[\"a\"] b", .none),
            ("[ -f x ] && y", .none), ("a", .none), ("", .none), ("[\"\\x\"]", .none), ("[\"\\u12\"]", .none), ("[[\"a\"]]", .none),
            ("[\"a\tb\"]", .none), ("[\"\\u+123\"]", .none),
        ])
    func json(text: String, value: JSONArray) { #expect(JSONArray(text) == value) }
}
