import GoTemplate
import Testing

@Suite struct FuzzTests {
    /// Numbers of a seed (SplitMix64): a failure can be had again.
    struct Seeded: RandomNumberGenerator {
        var state: UInt64

        mutating func next() -> UInt64 {
            state &+= 0x9e37_79b9_7f4a_7c15
            var z = state
            z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
            z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
            return z ^ (z >> 31)
        }
    }

    static let words = [
        "{{", "}}", "{{-", "-}}", " ", " ", " ", "\n", "|", "(", ")", ":=", "=", ",", ".", "$", "$x", ".x", ".Env", "if", "else", "end",
        "range",
        "with", "define", "template", "block", "break", "continue", "nil", "true", "0", "1", "-1", "1.5", "'a'", "9223372036854775807",
        "\"\"",
        "\"a\"", "`b`", "\"a:\\n- b\"", "{{end}}", "{{if true}}", "{{range 3}}", "{{$x := 1}}", "{{define \"a\"}}", "/*", "*/", "é",
        "\u{0}",
        "%v", "\"%d%[5]q%*s\"", "(list 1 2 \"a\")", "(dict \"a\" 1 \"b\" (list))", "(now)", "(semver \"1.2.3\")", "\"[a-z]+(x|y)*?\"",
        ".Files",
    ]

    @Test("Any words in any order are rendered or refused", arguments: 0..<8)
    func anyWords(_ seed: UInt64) {
        var random = Seeded(state: seed)
        for _ in 0..<500 {
            let text = (0..<Int.random(in: 1...25, using: &random)).map { _ in
                Self.words[Int.random(in: 0..<Self.words.count, using: &random)]
            }.joined()
            _ = failure(text)
        }
    }

    @Test("Every function refuses or takes any arguments", arguments: 0..<8)
    func anyArguments(_ seed: UInt64) {
        let values = [
            "nil", "true", "0", "1", "3", "-1", "1.5", "-0.0", "'a'", "9223372036854775807", "-9223372036854775808", "1e300", "\"\"",
            "\"a\"",
            "\"a b\\nc\"", "\"\\xff\\xfe\"", "\"1.2.3-rc.1\"", "\">=1.2, <2 || ^3.x\"", "\"%d %s %v %[2]*.3f\"",
            "\"2006-01-02T15:04:05Z07:00\"",
            "\"{{ .x }}\"", "\"[a-c]{2,}(d|e)*?$\"", "\"a: [1, {b: c}]\"", "\"-1h5m\"", "(list)", "(list 1 \"a\" nil (list))", "(dict)",
            "(dict \"a\" 1 \"b\" (dict \"c\" nil))", "(now)", "(semver \"1.2\")", ".Files", "$", "(until 5)", "(splitList \",\" \"x,y\")",
            "(split \",\" \"x,y\")", "(dict \"a\" (list \"\\n\" \"\" \"~\" 0.1))",
        ]
        var random = Seeded(state: seed)
        for name in FunctionNames.all {
            for _ in 0..<4 {
                let arguments = (0..<Int.random(in: 0...4, using: &random)).map { _ in
                    values[Int.random(in: 0..<values.count, using: &random)]
                }
                _ = failure("{{ \(name) \(arguments.joined(separator: " ")) }}")
            }
        }
    }

    @Test("Any regular expression is compiled or refused, and matched", arguments: 0..<4)
    func anyExpression(_ seed: UInt64) {
        let parts = [
            "a", "b", ".", "*", "+", "?", "{2}", "{1,3}", "{,", "(", ")", "(?:", "(?i)", "(?P<n>", "[", "]", "^", "-", "|", "$", "\\\\d",
            "\\\\pL",
            "\\\\b", "[a-c]", "[^\\\\s]", "[[:alpha:]]", "\\\\x41", "\\\\Q", "\\\\E", "é",
        ]
        var random = Seeded(state: seed)
        for _ in 0..<400 {
            let pattern = (0..<Int.random(in: 1...12, using: &random)).map { _ in parts[Int.random(in: 0..<parts.count, using: &random)] }
                .joined()
            _ = failure("{{ regexFindAll \"\(pattern)\" \"aab é Ab\" -1 }}{{ regexReplaceAll \"\(pattern)\" \"aab\" \"<$n$1>\" }}")
        }
    }
}
