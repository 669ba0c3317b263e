import GoTemplate
import Testing

#if canImport(Glibc)
    import Glibc
#endif

@Suite struct LimitTests {
    /// What this thread has spent: the other tests that run beside it don't count.
    private static var processorSeconds: Double {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    @Test(
        "What does not end or grows without bound is refused in time",
        arguments: [
            Case("{{define \"a\"}}{{template \"a\" .}}{{end}}{{template \"a\" .}}", "deeper than 500 levels"),
            Case("{{define \"a\"}}{{include \"a\" .}}{{end}}{{include \"a\" .}}", "deeper than 500 levels"),
            Case(
                "{{define \"a\"}}{{if true}}{{with .}}{{range list 1}}{{(include \"a\" $)}}{{end}}{{end}}{{end}}{{end}}{{include \"a\" .}}",
                "deeper than 500 levels"),
            Case("{{$t := \"{{ tpl .t . }}\"}}{{tpl $t (dict \"t\" $t)}}", "deeper than 500 levels"),
            Case("{{range 9223372036854775807}}{{end}}", "does not end within"),
            Case("{{range 9223372036854775807}}x{{end}}", "does not end within"),
            Case("{{range until 1000}}{{range until 1000}}{{range until 1000}}{{$x := 1}}{{end}}{{end}}{{end}}", "does not end within"),
            Case("{{$s := \"aaaaaaaaaaaaaaaa\"}}{{range 60}}{{$s = print $s $s}}{{end}}", "bytes is too large"),
            Case("{{range 100}}{{repeat 8000000 \"a\"}}{{end}}", "MiB"),
            Case("{{range 1000}}{{$x := repeat 8000000 \"a\"}}{{end}}", "MiB together"),
            Case("{{repeat 9223372036854775807 \"ab\"}}", "too large"),
            Case("{{repeat 100000000 \"\"}}{{repeat 100000000 \"a\"}}", "too large"),
            Case("{{indent 100000000 \"a\"}}", "too large"), Case("{{until 100000000}}", "too long"),
            Case("{{untilStep 0 9223372036854775807 1}}", "too long"),
            Case("{{seq 0 1 100000000}}", "too long"), Case("{{printf \"%1000000000d\" 1}}", "a width of more than"),
            Case("{{$l := list}}{{range 1000}}{{$l = list $l}}{{end}}", "nested deeper than 200 levels"),
            Case("{{$l := list 1}}{{range 100}}{{$l = concat $l $l}}{{end}}", "too large"),
            Case("{{$d := dict}}{{$_ := set $d \"a\" $d}}{{$d}}", "or contains itself"),
            Case("{{$d := dict}}{{$_ := set $d \"a\" $d}}{{toJson $d}}", "or contains itself"),
            Case("{{$d := dict}}{{$_ := set $d \"a\" $d}}{{toYaml $d}}", "or contains itself"),
            Case("{{$d := dict}}{{$_ := set $d \"a\" $d}}{{deepCopy $d}}", "or contains itself"),
            Case("{{$d := dict}}{{$_ := set $d \"a\" $d}}{{$e := dict}}{{$_ := set $e \"a\" $e}}{{deepEqual $d $e}}", "or contains itself"),
            Case("{{$d := dict}}{{$_ := set $d \"a\" $d}}{{$e := dict}}{{$_ := set $e \"a\" $e}}{{merge $d $e}}", "or contains itself"),
            Case("{{$d := dict \"x\" 1}}{{range 60}}{{$d = dict \"a\" $d \"b\" $d}}{{end}}{{toJson $d}}", "does not end within"),
            Case(
                "{{fromYaml \"a: &a [x,x,x,x,x,x,x,x,x]\\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\\ng: [*f,*f,*f,*f,*f,*f,*f,*f,*f]\"}}",
                "does not end within"),
            Case("{{fromYaml (printf \"a: %s\" (repeat 5000 \"[\"))}}", "error calling fromYaml"),
            Case("{{fromYaml (printf \"a: %s%s\" (repeat 900 \"[\") (repeat 900 \"]\"))}}", "nested deeper"),
            Case("{{fromJson (repeat 5000 \"[\")}}", "nested deeper"), Case("{{regexMatch (repeat 5000 \"(\") \"a\"}}", "nests too deeply"),
            Case("{{regexMatch \"((a{1000}){1000}){1000}\" \"a\"}}", "expression too large"),
            Case("{{regexMatch \"a{1001}\" \"a\"}}", "invalid repeat count"),
            Case("{{regexMatch \"(?:(?:(?:(?:){1000}){1000}){1000}){1000}x\" \"a\"}}|{{fail \"end\"}}", "error calling fail: end"),
            Case("{{regexMatch \"(a*)*b\" (repeat 1000000 \"a\")}}", "does not end within"),
            Case("{{uniq (until 100000)}}", "does not end within"),
            Case("{{range until 200}}{{$x := sortAlpha (until 100000)}}{{end}}", "MiB together"),
            Case("{{replace \"a\" (repeat 10000 \"b\") (repeat 10000 \"a\")}}", "too large"),
            Case("{{replace \"\" (repeat 10000 \"b\") (repeat 10000 \"a\")}}", "too large"),
            Case("{{join (repeat 10000 \"b\") (until 10000)}}", "too large"),
            Case("{{wrapWith 1 (repeat 10000 \"b\") (repeat 10000 \"a\")}}", "too large"),
        ])
    func limits(_ example: Case) throws {
        let start = Self.processorSeconds
        let error = failure(example.template)
        let seconds = Self.processorSeconds - start
        #expect(try #require(error).description.contains(example.expected), "\(String(describing: error))")
        // Two seconds where it is optimized; tests are not.
        #expect(seconds < 10, "\(seconds) s")
    }

    @Test("Blocks and parentheses that are written too deep are refused while they are read")
    func nesting() throws {
        for (open, close) in [("{{if true}}", "{{end}}"), ("{{range 1}}", "{{end}}"), ("{{with .}}", "{{end}}")] {
            #expect(try render(String(repeating: open, count: 90) + String(repeating: close, count: 90)) == "")
            let error = try #require(failure(String(repeating: open, count: 5_000)))
            #expect(error.message.contains("nested deeper than 100 levels"))
        }
        #expect(try render("{{" + String(repeating: "(", count: 90) + "1" + String(repeating: ")", count: 90) + "}}") == "1")
        #expect(
            try #require(failure("{{" + String(repeating: "(", count: 5_000) + String(repeating: ")", count: 5_000) + "}}")).message
                .contains("nested deeper than 100 levels"))
        #expect(try #require(failure("{{if 0}}" + String(repeating: "{{else if 0}}", count: 20_000))).message.contains("unexpected EOF"))
    }

    @Test("A catastrophic expression of other engines takes no time")
    func regex() throws {
        #expect(try render("{{regexMatch \"^(a+)+$\" (print (repeat 200 \"a\") \"b\")}}") == "false")
        #expect(try render("{{regexMatch \"(x+x+)+y\" (repeat 200 \"x\")}}") == "false")
    }

    @Test("A template of a hundred images stays far below the bounds")
    func large() throws {
        let text = """
            {{- $images := list }}{{ range until 500 }}{{ $images = append $images (printf "app-%03d" .) }}{{ end -}}
            {{ range $i, $name := $images }}---
            image: {{ $name }}
            from: {{ env "BASE" "alpine:3.20" }}
            shell:
              install:
            {{ include "commands" (dict "name" $name "index" $i) | indent 4 }}
            {{ end }}{{ define "commands" }}{{ range list "a" "b" "c" }}- echo {{ $.name | quote }} {{ . | upper }}
            {{ end }}{{ end }}
            """
        #expect(try render(text).split(separator: "---").count == 500)
    }
}
