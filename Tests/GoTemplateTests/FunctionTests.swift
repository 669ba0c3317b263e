import GoTemplate
import Testing

/// One call a line, with the results that the documentation of text/template, sprig and werf states or that follow from it.
@Suite struct FunctionTests {
    static func check(_ example: Case) throws {
        #expect(try render("{{ \(example.template) }}") == example.expected)
    }

    @Test(
        "Comparison",
        arguments: [
            Case("eq 1 1", "true"), Case("eq 1 2 3 1", "true"), Case("eq \"a\" \"b\"", "false"), Case("eq 1.5 1.5", "true"),
            Case("eq true true", "true"),
            Case("ne 1 2", "true"), Case("lt 1 2", "true"), Case("lt \"a\" \"b\"", "true"), Case("le 2 2", "true"),
            Case("gt 2.5 1.5", "true"),
            Case("ge 1 2", "false"), Case("eq (int64 1) 1", "true"), Case("eq nil nil", "true"), Case("eq .Missing nil", "true"),
            Case("eq .Missing \"a\"", "false"), Case("ne .Env \"production\"", "false"), Case("eq (index \"a\" 0) 97", "true"),
            Case("lt \"B\" \"a\"", "true"),
            Case("eq \"\u{e9}\" \"e\u{301}\"", "false"),
        ])
    func comparison(_ example: Case) throws { try Self.check(example) }

    @Test(
        "print and its kin",
        arguments: [
            Case("print 1 2 \"a\" \"b\" 3 4", "1 2ab3 4"), Case("print", ""), Case("println 1 \"a\"", "1 a\n"),
            Case("print (list 1 \"a\" nil)", "[1 a <nil>]"), Case("print (dict \"b\" 1 \"a\" (list))", "map[a:[] b:1]"),
            Case("print nil", "<nil>"),
            Case("printf \"%d %5d|%-5d|%05d|%+d|% d\" 1 2 3 4 5 6", "1     2|3    |00004|+5| 6"),
            Case("printf \"%x %X %#x %o %#o %O %b\" 255 255 255 8 8 8 5", "ff FF 0xff 10 010 0o10 101"),
            Case("printf \"%c %q %U\" 65 65 9731", "A 'A' U+2603"),
            Case("printf \"%s|%10s|%-10s|%.2s\" \"abc\" \"abc\" \"abc\" \"abc\"", "abc|       abc|abc       |ab"),
            Case("printf \"%q %x %X % x\" \"a\\\"b\\n\" \"hi\" \"hi\" \"hi\"", "\"a\\\"b\\n\" 6869 6869 68 69"),
            Case("printf \"%t %v\" true false", "true false"),
            Case(
                "printf \"%f %.2f %8.3f %e %g %G\" 1.5 1.005 3.14159 1234.5678 0.0001 1e10",
                "1.500000 1.00    3.142 1.234568e+03 0.0001 1E+10"),
            Case("printf \"%v %+v %#v %T\" 1.5 1.5 1.5 1.5", "1.5 +1.5 1.5 float64"),
            Case("printf \"%5t|%-7t|\" true false", " true|false  |"),
            Case("printf \"%v %s %d\" (list 1 2) (list \"a\" \"b\") (list 1 2)", "[1 2] [a b] [1 2]"),
            Case("printf \"%#v\" (list 1 \"a\")", "[]interface {}{1, \"a\"}"),
            Case("printf \"%#v\" (dict \"a\" 1)", "map[string]interface {}{\"a\":1}"),
            Case("printf \"%q\" (list \"a\" \"b\")", "[\"a\" \"b\"]"),
            Case(
                "printf \"%T %T %T %T %T %T\" 1 \"a\" true (list) (dict) nil",
                "int string bool []interface {} map[string]interface {} <nil>"),
            Case("printf \"%d\" \"a\"", "%!d(string=a)"), Case("printf \"%s\" 5", "%!s(int=5)"), Case("printf \"%d\"", "%!d(MISSING)"),
            Case("printf \"%d\" 1 2 \"x\"", "1%!(EXTRA int=2, string=x)"), Case("printf \"a%\"", "a%!(NOVERB)"),
            Case("printf \"%%\"", "%"), Case("printf \"%[2]d %[1]d\" 1 2", "2 1"), Case("printf \"%[3]d\" 1", "%!d(BADINDEX)"),
            Case("printf \"%*d|%-*d|\" 5 1 5 2", "    1|2    |"),
            Case("printf \"%.*f\" 2 3.14159", "3.14"), Case("printf \"%s\" nil", "%!s(<nil>)"), Case("printf \"%v\" nil", "<nil>"),
            Case("printf \"%+q %#q\" \"é\" \"a\"", "\"\\u00e9\" `a`"),
            Case("printf \"%08.3f|%+.1e\" 3.14159 12345.678", "0003.142|+1.2e+04"), Case("printf \"%6.2f%%\" 12.3456", " 12.35%"),
            Case("printf \"%-10s|\" \"é\"", "é         |"),
            Case("printf \"%03d|%3d|%-3d|\" -5 -5 -5", "-05| -5|-5 |"), Case("printf \"%.3d\" 5", "005"),
            Case("printf \"%z\" 5", "%!z(int=5)"),
            Case("printf \"%s\" (list 1)", "[%!s(int=1)]"), Case("printf \"%v\" (dict \"a\" nil)", "map[a:<nil>]"),
            Case("html \"<a href='x'>&\\\"</a>\"", "&lt;a href=&#39;x&#39;&gt;&amp;&#34;&lt;/a&gt;"),
            Case("js \"it's \\\"<b>\\\"\\n\"", "it\\'s \\\"\\u003Cb\\u003E\\\"\\u000A"), Case("urlquery \"a b&c/ü\"", "a+b%26c%2F%C3%BC"),
            Case("html 1 2", "1 2"),
        ])
    func printing(_ example: Case) throws { try Self.check(example) }

    @Test(
        "len, index and slice",
        arguments: [
            Case("len \"héllo\"", "6"), Case("len (list 1 2)", "2"), Case("len (dict \"a\" 1)", "1"), Case("index (list 1 2 3) 1", "2"),
            Case("index \"abc\" 1", "98"),
            Case("index (dict \"a\" (list 5 6)) \"a\" 1", "6"), Case("index (dict) \"x\"", "<no value>"), Case("index (list 1)", "[1]"),
            Case("slice \"abcdef\" 1 3", "bc"),
            Case("slice \"abc\" 1", "bc"), Case("slice (list 1 2 3 4) 1 3", "[2 3]"), Case("slice (list 1 2 3) 1", "[2 3]"),
            Case("slice (list 1 2 3)", "[1 2 3]"),
        ])
    func indexing(_ example: Case) throws { try Self.check(example) }

    @Test(
        "werf's own",
        arguments: [
            Case("env \"HOME\"", "/root"), Case("env \"UNSET\" \"d\"", "d"), Case("env \"EMPTY\" \"d\"", "d"), Case("env \"EMPTY\"", ""),
            Case("\"SECRET\" | env", "s3"),
            Case("expandenv \"a $HOME ${SECRET}$UNSET $\"", "a /root s3 $"), Case("required \"m\" 5", "5"),
            Case("required \"m\" false", "false"),
            Case(".Commit.Hash", "0123abcd"), Case(".Commit.Date.Unix", "1577880000"),
            Case(".Commit.Date.Human", "2020-01-01 12:00:00 +0000 UTC"),
            Case("div .Commit.Date.Unix (mul 60 60 24 30)", "608"), Case(".Branch", "main"), Case(".Tag", "<no value>"),
            Case(".Env", "production"),
            Case(".Files.Get \"conf/a.yaml\"", "<conf/a.yaml>\n"), Case(".Files.Get \"/conf//./a.yaml\"", "<conf/a.yaml>\n"),
            Case("\"README.md\" | .Files.Get | trim", "<README.md>"),
            Case(".Files.Exists \"conf/a.yaml\"", "true"), Case(".Files.Exists \"conf\"", "true"), Case(".Files.Exists \"none\"", "false"),
            Case(".Files.Exists \"../x\"", "false"),
            Case(".Files.IsDir \"conf\"", "true"), Case(".Files.IsDir \"conf/\"", "true"), Case(".Files.IsDir \"README.md\"", "false"),
            Case(".Files.IsDir \"con\"", "false"),
            Case("range $p, $c := .Files.Glob \"conf/*.yaml\"}}{{$p}};{{end", "conf/a.yaml;conf/b.yaml;"),
            Case("keys (.Files.Glob \"**/*.yaml\")", "[conf/a.yaml conf/b.yaml conf/deep/c.yaml]"),
            Case("keys (.Files.Glob \"conf/{a,b}.y?ml\")", "[conf/a.yaml conf/b.yaml]"),
            Case("keys (.Files.Glob \"**/[a-b].yaml\")", "[conf/a.yaml conf/b.yaml]"),
            Case("keys (.Files.Glob \"*\")", "[README.md tpl.txt weird[1].txt]"),
            Case("keys (.Files.Glob \"weird\\\\[1\\\\].txt\")", "[weird[1].txt]"),
            Case("keys (.Files.Glob \"[^a-v]*.txt\")", "[weird[1].txt]"),
            Case("printf_debug \"%d\" 1", ""), Case("include_debug \"x\" .", ""),
            Case("(.Files.Glob \"tpl*\") | toJson", "{\"tpl.txt\":\"\\u003ctpl.txt\\u003e\\n\"}"),
        ])
    func werf(_ example: Case) throws { try Self.check(example) }

    @Test("In loose mode a variable that is not set is empty")
    func loose() throws {
        var context = standardContext
        context.isLoose = true
        #expect(try render("[{{ env \"UNSET\" }}]", context: context) == "[]")
    }

    @Test(
        "Defaults and flow",
        arguments: [
            Case("default \"d\" \"\"", "d"), Case("\"v\" | default \"d\"", "v"), Case("default 5 0", "5"), Case("default \"d\"", "d"),
            Case("empty \"\"", "true"), Case("empty (list 1)", "false"),
            Case("coalesce 0 \"\" 5 6", "5"), Case("coalesce 0", "<no value>"), Case("all 1 \"a\" true", "true"), Case("all 1 0", "false"),
            Case("any 0 \"\" 1", "true"), Case("any 0 \"\"", "false"),
            Case("ternary \"a\" \"b\" true", "a"), Case("false | ternary \"a\" \"b\"", "b"), Case("hello", "Hello!"),
        ])
    func defaults(_ example: Case) throws { try Self.check(example) }

    @Test(
        "Texts",
        arguments: [
            Case("trim \"  a b \\n\"", "a b"), Case("trimAll \"$\" \"$5.00$\"", "5.00"), Case("trimPrefix \"a-\" \"a-b\"", "b"),
            Case("trimSuffix \"-\" \"hello-\"", "hello"), Case("trimSuffix \"x\" \"hello\"", "hello"),
            Case("upper \"héllo\"", "HÉLLO"), Case("lower \"HELLO\"", "hello"), Case("title \"hello world\"", "Hello World"),
            Case("title \"a-b c_d\"", "A-B C_d"), Case("untitle \"Hello World\"", "hello world"),
            Case("swapcase \"aBc\"", "AbC"), Case("repeat 3 \"ab\"", "ababab"), Case("repeat 0 \"ab\"", ""),
            Case("substr 0 5 \"hello world\"", "hello"), Case("substr 6 -1 \"hello world\"", "world"), Case("substr -1 3 \"hello\"", "hel"),
            Case("nospace \"h e l\\tl o\"", "hello"), Case("trunc 5 \"hello world\"", "hello"), Case("trunc -5 \"hello world\"", "world"),
            Case("trunc 50 \"a\"", "a"), Case("abbrev 5 \"hello world\"", "he..."),
            Case("abbrevboth 5 10 \"1234 5678 9123\"", "...5678..."), Case("initials \"First Try\"", "FT"),
            Case("contains \"cat\" \"catch\"", "true"), Case("contains \"dog\" \"catch\"", "false"), Case("contains \"\" \"a\"", "true"),
            Case("contains \"aab\" \"aaab\"", "true"), Case("replace \"abab\" \"x\" \"aababab\"", "axab"),
            Case("hasPrefix \"cat\" \"catch\"", "true"), Case("hasSuffix \"ch\" \"catch\"", "true"),
            Case("hasSuffix \"longer than\" \"it\"", "false"), Case("quote \"a\" 5 nil \"b\\\"\"", "\"a\" \"5\" \"b\\\"\""),
            Case("squote \"a\" 5", "'a' '5'"),
            Case("cat \"hello\" \"beautiful\" \"world\"", "hello beautiful world"), Case("cat 1 nil 2", "1 2"),
            Case("indent 4 \"a\\nb\"", "    a\n    b"), Case("nindent 2 \"a\\nb\"", "\n  a\n  b"),
            Case("replace \" \" \"-\" \"I Am Henry VIII\"", "I-Am-Henry-VIII"),
            Case("replace \"aa\" \"b\" \"aaaaa\"", "bba"), Case("replace \"\" \"-\" \"ab\"", "-a-b-"),
            Case("plural \"one anchovy\" \"many anchovies\" 1", "one anchovy"), Case("0 | plural \"one\" \"many\"", "many"),
            Case("snakecase \"FirstName\"", "first_name"), Case("snakecase \"HTTPServer\"", "http_server"),
            Case("snakecase \"NoHTTPS\"", "no_https"), Case("snakecase \"GO_PATH\"", "go_path"), Case("snakecase \"GO PATH\"", "go_path"),
            Case("snakecase \"GO-PATH\"", "go_path"), Case("snakecase \"http2xx\"", "http_2xx"),
            Case("snakecase \"HTTP20xOK\"", "http_20x_ok"), Case("snakecase \"Duration2m3s\"", "duration_2m3s"),
            Case("snakecase \"Bld4Floor3rd\"", "bld4_floor_3rd"),
            Case("kebabcase \"FirstName\"", "first-name"), Case("kebabcase \"HTTPServer\"", "http-server"),
            Case("camelcase \"http_server\"", "HttpServer"), Case("camelcase \"some words\"", "SomeWords"),
            Case("camelcase \"_complex__case_\"", "_Complex_Case_"),
            Case("camelcase \"some-words\"", "SomeWords"), Case("wrap 5 \"Hello World\"", "Hello\nWorld"),
            Case("wrap 3 \"Hello World\"", "Hello\nWorld"), Case("wrapWith 5 \"\\t\" \"Hello World\"", "Hello\tWorld"),
            Case("wrapWith 3 \"|\" \"abcdefgh\"", "abc|def|gh"),
            Case("(split \"$\" \"foo$bar$baz\")._1", "bar"), Case("split \"-\" \"a-b\"", "map[_0:a _1:b]"),
            Case("(splitn \"$\" 2 \"foo$bar$baz\")._1", "bar$baz"), Case("splitList \"$\" \"foo$bar\"", "[foo bar]"),
            Case("splitList \"\" \"aé\"", "[a é]"),
            Case("join \"_\" (list \"a\" 1 true nil)", "a_1_true"), Case("\"a b\" | splitList \" \" | join \"-\"", "a-b"),
            Case("sortAlpha (list \"c\" \"a\" \"B\")", "[B a c]"), Case("join \",\" \"x\"", "x"),
        ])
    func strings(_ example: Case) throws { try Self.check(example) }

    @Test(
        "Regular expressions",
        arguments: [
            Case("regexMatch \"^[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\\\\.[A-Za-z]{2,}$\" \"test@acme.com\"", "true"),
            Case("regexMatch `^\\d+$` \"12a\"", "false"), Case("regexFindAll \"[2,4,6,8]\" \"123456789\" -1", "[2 4 6 8]"),
            Case("regexFindAll \"[2,4,6,8]\" \"123456789\" 2", "[2 4]"), Case("regexFind \"[a-zA-Z][1-9]\" \"abcd1234\"", "d1"),
            Case("regexFind \"x\" \"abc\"", ""), Case("regexReplaceAll \"a(x*)b\" \"-ab-axxb-\" \"${1}W\"", "-W-xxW-"),
            Case("regexReplaceAllLiteral \"a(x*)b\" \"-ab-axxb-\" \"${1}\"", "-${1}-${1}-"),
            Case("regexSplit \"z+\" \"pizza\" -1", "[pi a]"), Case("regexSplit \"z\" \"pizza\" 2", "[pi za]"),
            Case("regexReplaceAll \"a(?P<n>x)b\" \"axb\" \"$n-$1-$$-$2-$nx\"", "x-x-$--"),
            Case("regexReplaceAll \"\" \"abc\" \"-\"", "-a-b-c-"), Case("regexReplaceAll \"a*\" \"baac\" \"x\"", "xbxcx"),
            Case("regexFindAll \"a*\" \"baac\" -1 | len", "3"), Case("regexFind \"a|ab\" \"ab\"", "a"),
            Case("regexFind \"a+?\" \"aaa\"", "a"),
            Case("regexFind \"(?i)HELLO\" \"say hello\"", "hello"), Case("regexFind \"(?s)a.b\" \"a\\nb\" | quote", "\"a\\nb\""),
            Case("regexMatch \"a.b\" \"a\\nb\"", "false"), Case("regexFindAll \"(?m)^.\" \"a\\nb\" -1", "[a b]"),
            Case("regexFind \"(?U)a+\" \"aaa\"", "a"),
            Case("regexFind `\\bfoo\\b` \"a foo b\"", "foo"), Case("regexFind `[[:upper:]]+` \"abCDe\"", "CD"),
            Case("regexFind `[^[:alpha:]]+` \"ab12c\"", "12"), Case("regexFind `\\p{Lu}\\pL+` \"xÄbc\"", "Äbc"),
            Case("regexFind `\\x41\\x{42}` \"AB\"", "AB"),
            Case("regexFind `\\Qa.b\\E` \"axb a.b\"", "a.b"), Case("regexFind \"a{2,3}\" \"aaaa\"", "aaa"),
            Case("regexFind \"a{,3}\" \"a{,3}\"", "a{,3}"), Case("regexFind \"(a|b)*c\" \"xababc\"", "ababc"),
            Case("regexFind `[a\\]b-]+` \"x]a-b\"", "]a-b"),
            Case("regexFind \"[]a]+\" \"x]a\"", "]a"), Case("regexQuoteMeta \"1.2*3\"", "1\\.2\\*3"),
            Case("regexReplaceAll `(\\w+)@(\\w+)` \"a@b c@d\" \"$2.$1\"", "b.a d.c"), Case("regexFind `\\S+$` \"a bc\"", "bc"),
            Case("regexMatch `^$` \"\"", "true"),
            Case("regexFind \"日本\" \"x日本y\"", "日本"), Case("regexSplit \",\" \"\" -1", "[]"), Case("mustRegexMatch \"a\" \"a\"", "true"),
            Case("regexFind \"(?:a|b)+\" \"xab\"", "ab"), Case("regexFind `\\d{3}-\\d{4}` \"tel 555-1234\"", "555-1234"),
            Case("regexReplaceAll \"[^a-zA-Z0-9]+\" \"feature/ABC-1 x\" \"-\" | lower", "feature-abc-1-x"),
        ])
    func regex(_ example: Case) throws { try Self.check(example) }

    @Test(
        "Encodings and digests",
        arguments: [
            Case("b64enc \"Hello\"", "SGVsbG8="), Case("b64dec \"SGVsbG8=\"", "Hello"), Case("b64enc \"\"", ""),
            Case("b64enc \"abcd\"", "YWJjZA=="), Case("b32enc \"Hello\"", "JBSWY3DP"), Case("b32dec \"JBSWY3DP\"", "Hello"),
            Case("b32enc \"a\" | b32dec", "a"),
            Case("sha1sum \"Hello world!\"", "d3486ae9136e7856bc42212385ea797094475802"),
            Case("sha256sum \"Hello world!\"", "c0535e4be2b79ffd93291305436bf889314e4a3faec05ecffcbb7df31ad9e51a"),
            Case("adler32sum \"Hello world!\"", "487130206"),
            Case("sha512sum \"\" | trunc 16", "cf83e1357eefb8bd"),
            Case("toJson (dict \"a\" 1 \"b\" (list true nil 1.5 \"<x>\"))", "{\"a\":1,\"b\":[true,null,1.5,\"\\u003cx\\u003e\"]}"),
            Case("toRawJson \"<a&b>\"", "\"<a&b>\""),
            Case("toPrettyJson (dict \"a\" (list 1) \"b\" (dict))", "{\n  \"a\": [\n    1\n  ],\n  \"b\": {}\n}"),
            Case("toJson (list 1e21 1e20 0.000001 1e-7 -0.5 100000.0)", "[1e+21,100000000000000000000,0.000001,1e-7,-0.5,100000]"),
            Case("(fromJson `{\"a\": {\"b\": [1, \"x\\u00e9\\ud83d\\ude00\\n\", null, true]}}`).a.b", "[1 xé😀\n <nil> true]"),
            Case("toJson (fromJson `{\"b\":1.5e3,\"a\":\"\\u003c\"}`)", "{\"a\":\"\\u003c\",\"b\":1500}"),
            Case("fromJson `[1,2]`", "[1 2]"),
            Case("toYaml (dict \"b\" (list 1 \"x\") \"a\" (dict \"c\" true))", "a:\n  c: true\nb:\n- 1\n- x"),
            Case("toYaml (list (dict \"a\" 1 \"b\" 2) (list 3 4))", "- a: 1\n  b: 2\n- - 3\n  - 4"), Case("toYaml (dict)", "{}"),
            Case("toYaml nil", "null"),
            Case(
                "toYaml (dict \"a\" \"true\" \"b\" \"1\" \"c\" \"\" \"d\" \"a: b\" \"e\" \"plain text\" \"f\" \"it's\")",
                "a: \"true\"\nb: \"1\"\nc: \"\"\nd: 'a: b'\ne: plain text\nf: it's"),
            Case("toYaml (dict \"a\" \"x\\ny\\n\")", "a: |\n  x\n  y"), Case("toYaml (dict \"a\" \"x\\ny\")", "a: |-\n  x\n  y"),
            Case("toYaml (dict \"yes\" \"- x\" \"on\" \"#c\" \"y\" \"*a\")", "\"on\": '#c'\n\"y\": '*a'\n\"yes\": '- x'"),
            Case("(fromYaml \"a: {b: [1, x, ~, yes, 1.5, 0x10, 010, '5']}\").a.b", "[1 x <nil> true 1.5 16 8 5]"),
            Case("(fromYaml \"x: &a {k: 1}\\ny: {<<: *a, l: 2}\").y", "map[k:1 l:2]"),
            Case("fromYaml \"\"", "map[]"), Case("fromYamlArray \"[1, a]\"", "[1 a]"),
            Case("(fromYaml \"a: |\\n  x\\n  y\\n\").a", "x\ny\n"), Case("kindOf (fromYaml \"a: 1_000\").a", "int"),
            Case("toYaml (fromYaml \"b: 1\\na: [x, 'y: z']\\n\")", "a:\n- x\n- 'y: z'\nb: 1"),
        ])
    func encoding(_ example: Case) throws { try Self.check(example) }

    @Test(
        "Numbers and conversion",
        arguments: [
            Case("add 1 2 3", "6"), Case("add", "0"), Case("add1 5", "6"), Case("sub 5 2", "3"), Case("mul 1 2 3", "6"),
            Case("div 7 2", "3"), Case("div -7 2", "-3"), Case("mod 7 3", "1"), Case("mod -7 3", "-1"), Case("max 1 5 3", "5"),
            Case("min 2 1 3", "1"),
            Case("add \"5\" 1.9 true", "7"), Case("add 9223372036854775807 1", "-9223372036854775808"),
            Case("div -9223372036854775808 -1", "-9223372036854775808"), Case("addf 0.1 0.2", "0.3"), Case("addf 1.5 2 2", "5.5"),
            Case("add1f 1.5", "2.5"), Case("subf 7.5 2 3", "2.5"),
            Case("mulf 1.5 2 2", "6"), Case("mulf 1.1 1.1", "1.21"), Case("divf 10 2 4", "1.25"), Case("divf 1 3", "0.3333333333333333"),
            Case("divf 2 3", "0.6666666666666667"), Case("maxf 1 2.5 2", "2.5"), Case("minf 1.5 2", "1.5"), Case("ceil 123.001", "124"),
            Case("floor 123.9999", "123"),
            Case("round 123.555555 3", "123.556"), Case("round 123.5 0", "124"), Case("round \"1.25\" 1 0.6", "1.2"),
            Case("int \"42\"", "42"), Case("int 3.99", "3"), Case("int \"x\"", "0"), Case("int64 \"0x1F\"", "31"),
            Case("int \"5.00\"", "5"), Case("float64 \"1.5\"", "1.5"), Case("atoi \"010\"", "10"), Case("toDecimal \"777\"", "511"),
            Case("toString 5", "5"), Case("toString 1.0", "1"), Case("toStrings (list 1 2.5 \"a\")", "[1 2.5 a]"),
            Case("until 5", "[0 1 2 3 4]"), Case("until -3", "[0 -1 -2]"), Case("untilStep 3 6 2", "[3 5]"),
            Case("untilStep 6 3 -1", "[6 5 4]"), Case("untilStep 0 5 0", "[]"), Case("untilStep 5 0 1", "[]"),
            Case("seq 5", "1 2 3 4 5"), Case("seq -3", "1 0 -1 -2 -3"), Case("seq 0 2", "0 1 2"), Case("seq 2 -2", "2 1 0 -1 -2"),
            Case("seq 0 2 10", "0 2 4 6 8 10"), Case("seq 0 -2 -5", "0 -2 -4"), Case("seq", ""), Case("seq 5 1 1", ""),
        ])
    func numbers(_ example: Case) throws { try Self.check(example) }

    @Test(
        "Lists",
        arguments: [
            Case("list 1 2 3", "[1 2 3]"), Case("tuple 1 \"a\"", "[1 a]"), Case("first (list 1 2)", "1"),
            Case("first (list)", "<no value>"), Case("rest (list 1 2 3)", "[2 3]"), Case("last (list 1 2)", "2"),
            Case("initial (list 1 2 3)", "[1 2]"), Case("append (list 1) 2", "[1 2]"), Case("prepend (list 1) 2", "[2 1]"),
            Case("concat (list 1) (list 2 3) (list)", "[1 2 3]"), Case("reverse (list 1 2 3)", "[3 2 1]"),
            Case("uniq (list 1 1 1 2)", "[1 2]"), Case("without (list 1 2 3) 3 1", "[2]"), Case("has 4 (list 1 4)", "true"),
            Case("has \"4\" (list 1 4)", "false"), Case("has (list 1) (list (list 1))", "true"),
            Case("compact (list 1 \"a\" \"\" 0 nil)", "[1 a]"),
            Case("chunk 2 (list 1 2 3 4 5)", "[[1 2] [3 4] [5]]"), Case("chunk 9 (list 1)", "[[1]]"), Case("mustAppend (list) 1", "[1]"),
            Case("has 1 nil", "false"), Case("chunk 3 (list)", "[]"),
        ])
    func lists(_ example: Case) throws { try Self.check(example) }

    @Test(
        "Maps",
        arguments: [
            Case("dict \"b\" 2 \"a\" 1", "map[a:1 b:2]"), Case("dict \"a\"", "map[a:]"), Case("get (dict \"a\" 1) \"a\"", "1"),
            Case("get (dict) \"a\"", ""), Case("set (dict \"a\" 1) \"b\" 2", "map[a:1 b:2]"),
            Case("unset (dict \"a\" 1 \"b\" 2) \"a\"", "map[b:2]"), Case("hasKey (dict \"a\" nil) \"a\"", "true"),
            Case("hasKey (dict) \"a\"", "false"),
            Case("pluck \"a\" (dict \"a\" 1) (dict \"b\" 2) (dict \"a\" 3)", "[1 3]"), Case("pluck \"a\" (dict \"a\" 1) | first", "1"),
            Case("keys (dict \"b\" 1 \"a\" 2) (dict \"c\" 1)", "[a b c]"), Case("values (dict \"b\" 1 \"a\" 2)", "[2 1]"),
            Case("pick (dict \"a\" 1 \"b\" 2) \"a\" \"z\"", "map[a:1]"), Case("omit (dict \"a\" 1 \"b\" 2) \"a\"", "map[b:2]"),
            Case(
                "merge (dict \"a\" 1 \"m\" (dict \"x\" 1)) (dict \"a\" 2 \"b\" 3 \"m\" (dict \"x\" 2 \"y\" 3))",
                "map[a:1 b:3 m:map[x:1 y:3]]"), Case("merge (dict \"a\" \"\") (dict \"a\" 2)", "map[a:2]"),
            Case("mergeOverwrite (dict \"a\" 1 \"m\" (dict \"x\" 1)) (dict \"a\" 2 \"m\" (dict \"y\" 3))", "map[a:2 m:map[x:1 y:3]]"),
            Case("mergeOverwrite (dict \"a\" 1) (dict \"a\" 0 \"b\" 0)", "map[a:1 b:0]"),
            Case("dig \"a\" \"b\" \"none\" (dict \"a\" (dict \"b\" 5))", "5"),
            Case("dig \"a\" \"c\" \"none\" (dict \"a\" (dict \"b\" 5))", "none"), Case("dig \"x\" 1 (dict)", "1"),
            Case("$d := dict \"a\" (dict \"b\" 1)}}{{$c := deepCopy $d}}{{$_ := set $c.a \"b\" 2}}{{$d.a.b}}{{$c.a.b", "12"),
            Case("$d := dict}}{{$_ := set $d \"k\" 1}}{{$d.k", "1"), Case("$d := dict}}{{$e := $d}}{{$_ := set $e \"k\" 1}}{{$d.k", "1"),
        ])
    func maps(_ example: Case) throws { try Self.check(example) }

    @Test(
        "Types, paths, versions",
        arguments: [
            Case("typeOf 1", "int"), Case("typeOf (add 1)", "int64"), Case("typeOf 1.5", "float64"),
            Case("typeOf (splitList \",\" \"a\")", "[]string"), Case("typeOf nil", "<nil>"), Case("typeIs \"string\" \"a\"", "true"),
            Case("typeIsLike \"semver.Version\" (semver \"1\")", "true"), Case("kindOf (list)", "slice"), Case("kindOf (dict)", "map"),
            Case("kindOf nil", "invalid"), Case("kindIs \"int\" 1", "true"),
            Case("deepEqual (list 1 (dict \"a\" 1)) (list 1 (dict \"a\" 1))", "true"), Case("deepEqual 1 (int64 1)", "false"),
            Case("base \"foo/bar/baz\"", "baz"), Case("base \"/\"", "/"), Case("base \"\"", "."), Case("dir \"foo/bar/baz\"", "foo/bar"),
            Case("dir \"a\"", "."), Case("dir \"/a\"", "/"),
            Case("clean \"foo/bar/../baz\"", "foo/baz"), Case("clean \"/../a//b/.\"", "/a/b"), Case("clean \"../../a\"", "../../a"),
            Case("clean \"\"", "."), Case("ext \"foo.tar.gz\"", ".gz"), Case("ext \"a.b/c\"", ""), Case("isAbs \"/a\"", "true"),
            Case("osBase \"/a/b\"", "b"), Case("osExt \"a.c\"", ".c"),
            Case("(urlParse \"http://admin:secret@server.com:8080/api?list=false#anchor\").hostname", "server.com"),
            Case("urlParse \"http://u@h:80/p?q#f\"", "map[fragment:f host:h:80 hostname:h opaque: path:/p query:q scheme:http userinfo:u]"),
            Case(
                "urlJoin (dict \"fragment\" \"fragment\" \"host\" \"host:80\" \"path\" \"/path\" \"query\" \"query\" \"scheme\" \"http\")",
                "http://host:80/path?query#fragment"), Case("urlJoin (urlParse \"mailto:a@b\")", "mailto:a@b"),
            Case("(semver \"1.2.3-alpha.1+123\").Prerelease", "alpha.1"), Case("(semver \"v1.2\").Minor", "2"),
            Case("semver \"v1.2\"", "1.2.0"), Case("(semver \"v1.2\").Original", "v1.2"), Case("semverCompare \"1.2.3\" \"1.2.3\"", "true"),
            Case("semverCompare \"^1.2.0\" \"1.9.0\"", "true"), Case("semverCompare \"^1.2.0\" \"2.0.0\"", "false"),
            Case("semverCompare \"~1.2.3\" \"1.2.9\"", "true"), Case("semverCompare \"~1.2.3\" \"1.3.0\"", "false"),
            Case("semverCompare \">=1.2, <2\" \"1.5.0\"", "true"), Case("semverCompare \">= 1.2 < 2\" \"2.0.0\"", "false"),
            Case("semverCompare \"1.x || >=3\" \"3.1.0\"", "true"), Case("semverCompare \"1.2 - 1.4.5\" \"1.4.5\"", "true"),
            Case("semverCompare \"1.2 - 1.4.5\" \"1.4.6\"", "false"), Case("semverCompare \"!=1.3.x\" \"1.3.4\"", "false"),
            Case("semverCompare \"*\" \"5.0.0\"", "true"), Case("semverCompare \"^0.2.3\" \"0.2.9\"", "true"),
            Case("semverCompare \"^0.2.3\" \"0.3.0\"", "false"), Case("semverCompare \"^0.0.3\" \"0.0.4\"", "false"),
            Case("semverCompare \">1.0.0\" \"1.1.0-beta\"", "false"),
            Case("semverCompare \">1.0.0-0\" \"1.1.0-beta\"", "true"), Case("semverCompare \"<=1.2\" \"1.2.9\"", "true"),
            Case("semverCompare \">1.2\" \"1.2.9\"", "false"), Case("semverCompare \">1.0.0-alpha.2\" \"1.0.0-alpha.10\"", "true"),
        ])
    func others(_ example: Case) throws { try Self.check(example) }

    @Test(
        "Dates",
        arguments: [
            Case("now | date \"2006-01-02 15:04:05\"", "2020-01-01 13:00:00"),
            Case("date \"Mon, 2 Jan 06 3:04PM MST\" now", "Wed, 1 Jan 20 1:00PM UTC"),
            Case("date \"Monday January _2 002 .000 -0700 Z07:00\" now", "Wednesday January  1 001 .005 +0000 Z"),
            Case("now | unixEpoch", "1577883600"), Case("htmlDate 0", "1970-01-01"),
            Case("date \"2006-01-02\" (now | dateModify \"-24h\")", "2019-12-31"), Case("dateInZone \"15:04\" now \"UTC\"", "13:00"),
            Case("toDate \"2006-01-02\" \"2017-12-31\" | date \"02/01/2006\"", "31/12/2017"),
            Case("toDate \"2006-01-02T15:04:05Z07:00\" \"2020-02-29T10:00:00+02:00\" | unixEpoch", "1582963200"),
            Case("ago (dateModify \"-90m\" now)", "1h30m0s"), Case("duration \"95\"", "1m35s"), Case("durationRound \"2h10m5s\"", "2h"),
            Case("durationRound (dateModify \"-2400h\" now)", "3mo"), Case("now", "2020-01-01 13:00:00.005 +0000 UTC"),
            Case("now.Year", "2020"), Case("(now).Unix", "1577883600"), Case("now.Weekday", "Wednesday"),
            Case("date \"2006\" -62135596800", "0001"), Case("date \"2006-01-02\" 951782400", "2000-02-29"),
            Case("dateModify \"1500ms\" now | date \"05.000\"", "01.505"), Case("dateModify \"-1500ms\" now | date \"05.000\"", "58.505"),
        ])
    func dates(_ example: Case) throws { try Self.check(example) }
}
