import GoTemplate
import Testing

@Suite struct ErrorTests {
    @Test(
        "What can't be read is an error with its line and what is wrong",
        arguments: [
            Case("a\n{{foo}}", "werf.yaml:2:2: function \"foo\" not defined"), Case("{{if true}}", "werf.yaml:1:2: unexpected EOF"),
            Case("{{end}}", "werf.yaml:1:2: unexpected {{end}}"), Case("{{else}}", "werf.yaml:1:2: unexpected {{else}}"),
            Case("{{", "unclosed action"), Case("{{/* a", "unclosed comment"),
            Case("{{/* a */ b}}", "comment ends before closing delimiter"),
            Case("{{\"a}}", "unterminated quoted string"), Case("{{`a}}", "unterminated raw quoted string"),
            Case("{{'a}}", "unterminated character"),
            Case("{{'ab'}}", "malformed character constant"), Case("{{\"\\q\"}}", "malformed string"),
            Case("{{(1}}", "unclosed left paren"),
            Case("{{1)}}", "unexpected right paren"), Case("{{}}", "missing value for command"), Case("{{1 |}}", "missing value after |"),
            Case("{{if}}a{{end}}", "missing value for if"), Case("{{1 | 2}}", "non executable command in pipeline"),
            Case("{{$x}}", "undefined variable \"$x\""), Case("{{$x = 1}}", "undefined variable \"$x\""),
            Case("{{$x := 1}}{{define \"a\"}}{{$x}}{{end}}", "undefined variable"),
            Case("{{if $x := 1}}{{end}}{{$x}}", "undefined variable"), Case("{{$x, $y := 1}}", "too many variables"),
            Case("{{break}}", "{{break}} outside {{range}}"), Case("{{define \"a\"}}{{continue}}{{end}}", "outside {{range}}"),
            Case("{{if true}}{{define \"a\"}}{{end}}{{end}}", "unexpected \"define\""), Case("{{define 1}}{{end}}", "in define clause"),
            Case("{{template a}}", "in template clause"), Case("{{1a}}", "bad number syntax: \"1a\""), Case("{{1i}}", "bad number syntax"),
            Case("{{99999999999999999999}}{{1e400}}", "bad number syntax"), Case("{{a$}}", "bad character U+0024"),
            Case("{{1.x}}", "bad number"), Case("{{nil.x}}", "unexpected . after term"),
            Case("{{range $i, $v, $w := .}}{{end}}", "too many variables"),
            Case("{{#}}", "unexpected character \"#\""), Case("{{if true}}a{{else}}b{{else}}c{{end}}", "expected end"),
            Case("{{.x.}}", "unexpected"), Case("{{print 1,2}}", "unexpected \",\""),
            Case("{{uuidv4}}", "\"uuidv4\" is not supported: its result differs"),
            Case("{{ htpasswd \"a\" \"b\" }}", "\"htpasswd\" is not supported"), Case("{{ getHostByName \"a\" }}", "not supported"),
        ])
    func reading(_ example: Case) throws {
        let error = try #require(failure(example.template))
        #expect(error.description.contains(example.expected), "\(error)")
    }

    @Test(
        "What goes wrong while it runs names the template, the place and the words",
        arguments: [
            Case("a: 1\nb: {{ fail \"no\" }}", "werf.yaml:2:6: executing \"werf.yaml\" at <fail \"no\">: error calling fail: no"),
            Case(
                "{{required \"give it\" .x}}",
                "werf.yaml:1:2: executing \"werf.yaml\" at <required \"give it\" .x>: error calling required: give it"),
            Case("{{upper 5}}", "error calling upper: wrong type for argument 1; expected string; got int"),
            Case("{{upper}}", "wrong number of args for upper: want 1 got 0"), Case("{{eq}}", "want at least 1 got 0"),
            Case("{{round 1}}", "wrong number of args for round: want at least 2 got 1"), Case("{{env}}", "want at least 1 got 0"),
            Case("{{(dict \"a\" nil).a.b}}", "nil pointer evaluating interface {}.b"),
            Case("{{.Env.x}}", "can't evaluate field x in type string"),
            Case("{{.Env 1}}", "Env is not a method but has arguments"), Case("{{\"a\" 1}}", "can't give argument to non-function \"a\""),
            Case("{{nil}}", "nil is not a command"), Case("{{template \"x\"}}", "template \"x\" not defined"),
            Case("{{include \"x\" .}}", "error calling include: template \"x\" not defined"),
            Case("{{range \"abc\"}}{{end}}", "range can't iterate over abc"),
            Case("{{index (list 1) 5}}", "index out of range: 5"),
            Case("{{index (list 1) \"a\"}}", "cannot index slice/array with type string"),
            Case("{{index nil 1}}", "index of untyped nil"), Case("{{len 5}}", "len of type int"),
            Case("{{len nil}}", "len of nil pointer"),
            Case("{{slice \"abc\" 2 9}}", "out of range"), Case("{{call 5}}", "call of non-function"),
            Case("{{div 1 0}}", "integer divide by zero"),
            Case("{{mod 1 0}}", "integer divide by zero"), Case("{{eq 1 \"a\"}}", "incompatible types for comparison"),
            Case("{{lt 1 2.0}}", "incompatible types"),
            Case("{{lt true false}}", "invalid type for comparison"), Case("{{eq (list) (list)}}", "non-comparable type []interface {}"),
            Case("{{env \"UNSET\"}}", "the environment variable \"UNSET\" must be set or default must be provided"),
            Case("{{.Files.Get \"none\"}}", "error calling Get: there is no file \"none\" in the project"),
            Case("{{.Files.Glob \"*.none\"}}", "no matches found"),
            Case("{{.Files.Lines \"a\"}}", "can't evaluate field Lines in type config.files"),
            Case("{{.Files.Get 5}}", "expected string; got int"), Case("{{.Files.Get}}", "wrong number of args for Get"),
            Case("{{fromYaml \"a: [\"}}", "error calling fromYaml: yaml:"), Case("{{fromYaml \"[1]\"}}", "wants a map at the top"),
            Case("{{fromJson \"{\"}}", "unexpected end of JSON input"), Case("{{fromJson \"[1,]\"}}", "invalid character ']'"),
            Case("{{b64dec \"a?\"}}", "illegal base64 data at input byte 1"), Case("{{regexMatch \"(\" \"a\"}}", "missing closing )"),
            Case("{{regexMatch \"(?=a)\" \"a\"}}", "invalid or unsupported Perl syntax"),
            Case("{{regexMatch `(a)\\1` \"a\"}}", "invalid escape sequence"),
            Case("{{semver \"x\"}}", "Invalid Semantic Version"), Case("{{semverCompare \"what\" \"1.0.0\"}}", "improper constraint"),
            Case("{{dateModify \"x\" now}}", "invalid duration"), Case("{{date \"2006\" \"x\"}}", "expected time or int; got string"),
            Case("{{dateInZone \"2006\" now \"Europe/Berlin\"}}", "only UTC is known"),
            Case("{{tpl \"{{\" .}}", "error calling tpl: tpl:1:0: unclosed action"),
            Case("{{$x := 1}}{{if false}}{{$y := 2}}{{else}}{{$y}}{{end}}", "undefined variable: $y"),
            Case("{{set (list) \"a\" 1}}", "expected map[string]interface {}; got []interface {}"),
            Case("{{first 5}}", "expected list; got int"),
            Case("{{ternary 1 2 \"x\"}}", "expected bool; got string"), Case("{{dig \"a\" \"b\" 1 (dict \"a\" 5)}}", "no map"),
        ])
    func running(_ example: Case) throws {
        let error = try #require(failure(example.template))
        #expect(error.description.contains(example.expected), "\(error)")
    }

    @Test("An error inside of an included file carries both places")
    func nested() throws {
        let error = try #require(failure("\n\n  {{ include \"lib.tmpl\" . }}", files: [("lib.tmpl", "x\n {{ fail \"deep\" }}")]))
        #expect(error.file == "werf.yaml")
        #expect(error.line == 3)
        #expect(error.column == 5)
        let expected =
            "executing \"werf.yaml\" at <include \"lib.tmpl\" .>: error calling include: "
            + "lib.tmpl:2:4: executing \"lib.tmpl\" at <fail \"deep\">: error calling fail: deep"
        #expect(error.message == expected)
    }

    @Test("A mistake in a file under .werf is an error of that file")
    func otherFile() throws {
        let error = try #require(failure("ok", files: [("lib.tmpl", "\n{{ nothing }}")]))
        #expect(error.description == "lib.tmpl:2:3: function \"nothing\" not defined")
    }

    @Test("What the context refuses is the error at the place of the call")
    func context() throws {
        struct Refusal: Error, CustomStringConvertible { let description = "X is not allowed by werf-giterminism.yaml" }
        var context = standardContext
        context.variable = { _ in throw Refusal() }
        #expect(
            try #require(failure("{{ env \"X\" \"d\" }}", context: context)).message.contains("X is not allowed by werf-giterminism.yaml"))
        context.contents = { _ in throw Refusal() }
        #expect(
            try #require(failure("{{ .Files.Get \"tpl.txt\" }}", context: context)).message.contains("error calling Get: X is not allowed"))
        context.now = nil
        #expect(try #require(failure("{{ now }}", context: context)).message.contains("the clock is not there"))
    }

    @Test("A main file that is not there is an error with its name")
    func missing() {
        #expect(throws: TemplateError.self) { try WerfTemplate(files: [], main: "werf.yaml") }
    }
}
