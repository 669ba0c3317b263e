import GoTemplate
import Testing

@Suite struct LanguageTests {
    @Test(
        "Texts, comments and trimming",
        arguments: [
            Case("configVersion: 1\nproject: x\n", "configVersion: 1\nproject: x\n"), Case("", ""), Case("{", "{"), Case("}}", "}}"),
            Case("a{{/* b */}}c", "ac"), Case("a {{- /* b */ -}} c", "ac"), Case("a{{/* }} */}}b", "ab"),
            Case("a \n {{- 1 -}} \n b", "a1b"), Case("a {{1 -}}\n\t b", "a 1b"), Case("a {{- 1}} b", "a1 b"), Case("{{- 3}}", "3"),
            Case("{{-3}}", "-3"), Case("{{ 3 -}} {{- 4 }}", "34"), Case("x {{- -3 }}", "x-3"), Case("{{\n1\n}}", "1"),
            Case("{{\"}}\"}}", "}}"), Case("{{`a\n}}`}}", "a\n}}"), Case("é{{`ß`}}", "éß"),
            Case("a {{- \"\" -}} b", "ab"), Case("{{- /* only */ -}}", ""),
        ])
    func texts(_ example: Case) throws { #expect(try render(example.template) == example.expected) }

    @Test(
        "Constants of all of Go's forms",
        arguments: [
            Case("{{0x1F}} {{0X1f}} {{0b101}} {{0o17}} {{017}} {{1_000}} {{+5}} {{-5}}", "31 31 5 15 15 1000 5 -5"),
            Case("{{1.5}} {{.5}} {{1.}} {{1e3}} {{1E-2}} {{0x1p4}} {{1e6}} {{1e5}}", "1.5 0.5 1 1000 0.01 16 1e+06 100000"),
            Case("{{'a'}} {{'\\n'}} {{'\\x41'}} {{'\\u00e9'}} {{'é'}} {{'\\''}} {{'\\101'}}", "97 10 65 233 233 39 65"),
            Case(#"{{"a\tb\"\\\x41\u00e9\U0001F600\101"}}"#, "a\tb\"\\A\u{e9}\u{1F600}A"),
            Case("{{`raw \\n`}}", "raw \\n"), Case("{{true}} {{false}}", "true false"), Case("{{print nil}}", "<nil>"),
            Case("{{9223372036854775807}} {{-9223372036854775808}}", "9223372036854775807 -9223372036854775808"),
            Case("{{1.0}} {{1e21}} {{123456789.0}} {{0.00001}} {{0.0001}}", "1 1e+21 1.23456789e+08 1e-05 0.0001"),
        ])
    func constants(_ example: Case) throws { #expect(try render(example.template) == example.expected) }

    @Test(
        "Variables, pipelines and parentheses",
        arguments: [
            Case("{{$x := 1}}{{$x}}{{$x = 2}}{{$x}}", "12"), Case("{{$x:=1}}{{$x}}", "1"), Case("{{$x := \"a\" | upper}}{{$x}}", "A"),
            Case("{{\"a\" | printf \"%s%s\" \"b\"}}", "ba"), Case("{{(1)}}", "1"), Case("{{((printf \"%d\" (add 1 2)))}}", "3"),
            Case("{{$x := 1}}{{if true}}{{$x := 2}}{{$x}}{{end}}{{$x}}", "21"),
            Case("{{$x := 1}}{{if true}}{{$x = 2}}{{end}}{{$x}}", "2"), Case("{{$.Env}} {{.Env}}", "production production"),
            Case("{{$d := dict \"a\" (dict \"b\" 5)}}{{$d.a.b}} {{($d.a).b}} {{(index $d \"a\").b}}", "5 5 5"),
            Case("{{with dict \"a\" (dict \"b\" 5)}}{{.a.b}}{{with .a}}{{.b}}{{end}}{{end}}", "55"),
            Case("{{with $x := 5}}{{$x}}{{.}}{{end}}", "55"), Case("{{print (1) (2)}}", "1 2"),
            Case("{{.Missing}}", "<no value>"), Case("{{.Missing.deeper.still}}", "<no value>"),
            Case("{{.Missing | default \"d\"}}", "d"), Case("{{(dict).x}}", "<no value>"),
            Case("{{$d := dict \"if\" 1 \"end\" 2}}{{$d.if}}{{$d.end}}", "12"),
        ])
    func variables(_ example: Case) throws { #expect(try render(example.template) == example.expected) }

    @Test(
        "Conditions and what is true",
        arguments: [
            Case("{{if true}}a{{end}}", "a"), Case("{{if false}}a{{else}}b{{end}}", "b"),
            Case("{{if false}}a{{else if true}}b{{else}}c{{end}}", "b"),
            Case("{{if 0}}a{{else if \"\"}}b{{else if list}}c{{else if dict}}d{{else if .Missing}}e{{else}}f{{end}}", "f"),
            Case("{{if 1}}a{{end}}{{if \"x\"}}b{{end}}{{if list 1}}c{{end}}{{if dict \"a\" 1}}d{{end}}{{if 0.1}}e{{end}}", "abcde"),
            Case("{{with \"\"}}a{{else}}b{{end}}", "b"), Case("{{with 0}}a{{else with 5}}{{.}}{{end}}", "5"),
            Case("{{if $x := 5}}{{$x}}{{end}}", "5"), Case("{{if and true 1}}a{{end}}", "a"),
            Case("{{and 1 0 2}} {{and 1 2}} {{or 0 \"\" 3}} {{or 0 \"\"}}|", "0 2 3 |"), Case("{{not 0}} {{not 1}}", "true false"),
            Case("{{or true (fail \"no\")}} {{and false (fail \"no\")}}", "true false"), Case("{{1 | and 2}} {{0 | or 5}}", "1 5"),
        ])
    func conditions(_ example: Case) throws { #expect(try render(example.template) == example.expected) }

    @Test(
        "Ranges",
        arguments: [
            Case("{{range list 1 2 3}}{{.}},{{end}}", "1,2,3,"), Case("{{range $i, $v := list \"a\" \"b\"}}{{$i}}{{$v}}{{end}}", "0a1b"),
            Case("{{range $v := list \"a\" \"b\"}}{{$v}}{{end}}", "ab"),
            Case("{{range $k, $v := dict \"b\" 1 \"a\" 2}}{{$k}}{{$v}}{{end}}", "a2b1"),
            Case("{{range dict \"b\" 1 \"a\" 2}}{{.}}{{end}}", "21"), Case("{{range 3}}{{.}}{{end}}", "012"),
            Case("{{range $i := 3}}{{$i}}{{end}}", "012"), Case("{{range list}}a{{else}}b{{end}}", "b"),
            Case("{{range .Missing}}a{{else}}b{{end}}", "b"), Case("{{range 0}}a{{else}}b{{end}}", "b"),
            Case("{{range list 1 2 3}}{{if eq . 2}}{{break}}{{end}}{{.}}{{end}}", "1"),
            Case("{{range list 1 2 3}}{{if eq . 2}}{{continue}}{{end}}{{.}}{{end}}", "13"),
            Case("{{range list 1 2}}{{range list 3 4}}{{.}}{{break}}{{end}}{{.}}{{end}}", "3132"),
            Case("{{$x := 0}}{{range list 1 2 3}}{{$x = add $x .}}{{end}}{{$x}}", "6"),
            Case("{{$i := 0}}{{$v := 0}}{{range $i, $v = list 5 6}}{{end}}{{$i}}{{$v}}", "16"),
            Case("{{range until 3}}{{.}}{{end}}", "012"),
            Case(
                "{{range $i, $e := list 1}}{{$}}{{end}}",
                "map[Branch:main Commit:map[Date:map[Human:2020-01-01 12:00:00 +0000 UTC Unix:1577880000] Hash:0123abcd] Env:production Files:{}]"
            ),
        ])
    func ranges(_ example: Case) throws { #expect(try render(example.template) == example.expected) }

    @Test(
        "Definitions, templates and blocks",
        arguments: [
            Case("{{define \"a\"}}[{{.}}]{{end}}{{template \"a\" 5}}{{template \"a\"}}", "[5][<no value>]"),
            Case("{{template \"a\" .Env}}{{define \"a\"}}<{{.}}>{{end}}", "<production>"),
            Case("{{block \"a\" 5}}({{.}}){{end}}{{template \"a\" 6}}", "(5)(6)"),
            Case("{{define \"a\"}}1{{end}}{{define \"a\"}}2{{end}}{{template \"a\"}}", "2"),
            Case("{{define \"a\"}}1{{end}}{{define \"a\"}} {{/* nothing */}} {{end}}{{template \"a\"}}", "1"),
            Case("{{define \"a\"}}{{$x := 1}}{{$x}}{{end}}{{$x := 2}}{{template \"a\"}}{{$x}}", "12"),
            Case("{{define `a`}}{{if .}}{{.}}{{template \"a\" sub . 1}}{{end}}{{end}}{{template \"a\" 3}}", "321"),
            Case("{{define \"a\"}}x{{end}}{{include \"a\" . | upper}}{{include \"a\" . | indent 2}}", "X  x"),
            Case("{{tpl \"{{ .Env }}-{{ 1 }}\" .}}", "production-1"), Case("{{tpl \"{{define `z`}}Z{{end}}\" .}}{{include \"z\" .}}", "Z"),
            Case("{{template \"lib/x.tmpl\" 3}}{{include \"named\" 4}}", "x3n4"),
        ])
    func templates(_ example: Case) throws {
        let library = [("lib/x.tmpl", "x{{.}}{{define \"named\"}}n{{.}}{{end}}")]
        #expect(try render(example.template, files: library) == example.expected)
    }

    @Test("The main file's definitions replace those of the files beside it")
    func precedence() throws {
        let files = [("a.tmpl", "{{define \"x\"}}a{{end}}"), ("b.tmpl", "{{define \"x\"}}b{{end}}")]
        #expect(try render("{{template \"x\"}}", files: files) == "b")
        #expect(try render("{{define \"x\"}}main{{end}}{{template \"x\"}}", files: files) == "main")
    }

    @Test("What a template stores in a map is gone in the next rendering")
    func renderings() throws {
        let template = try WerfTemplate(
            files: [(name: "w", text: "{{.x}}{{$_ := set . \"x\" 1}}{{$_ := set . \"self\" .}}")], main: "w")
        for _ in 0..<2 { #expect(try template.render(standardContext) == "<no value>") }
    }
}
