import Testing

@testable import DockerfileFrontend

@Suite struct ExpansionTests {
    static let variables = [
        "x": "one", "empty": "", "path": "/a/b/c.tar.gz", "spaces": "a b  c", "star": "*", "_u1": "under", "é": "no", "dots": "1.2.3",
        "nul": "a\\b",
        "A": "β∂ß",
    ]

    static func expansion(keepsUnset: Bool = false, ignoresQuotes: Bool = false, escape: UInt8 = UInt8(ascii: "\\")) -> Expansion {
        Expansion(escape: escape, ignoresQuotes: ignoresQuotes, keepsUnset: keepsUnset) { variables[$0] }
    }

    @Test(
        "Text expands as the language has it",
        arguments: [
            // Plain variables
            ("", ""), ("a", "a"), ("$x", "one"), ("${x}", "one"), ("a$x", "aone"), ("$x-b", "one-b"), ("${x}b", "oneb"), ("$xb", ""),
            ("$x$x", "oneone"), ("$unset", ""), ("${unset}", ""), ("$", "$"), ("a$", "a$"), ("$ x", "$ x"), ("$_u1", "under"), ("$1x", "x"),
            ("$12a", "a"), ("$$", ""), ("$*a", "a"), ("$/x", "$/x"), ("$.x", "$.x"), ("%x%", "%x%"), ("$(x)", "$(x)"), ("`x`", "`x`"),
            ("$é", "$é"), ("$xé", "oneé"),
            // Escapes and quotes
            ("\\$x", "$x"), ("\\\\$x", "\\one"), ("\\a", "a"), ("a\\", "a"), ("'$x'", "$x"), ("'a b'", "a b"), ("\"$x\"", "one"),
            ("\"${x}\"", "one"),
            ("\"\\$x\"", "$x"), ("\"\\a\"", "\\a"), ("\"\\\\\"", "\\"), ("\"\\\"\"", "\""), ("\"'\"", "'"), ("'\"'", "\""), ("'\\'", "\\"),
            ("a'b'c\"d\"", "abcd"), ("''", ""), ("\"\"", ""), ("\"a\\'b\"", "a\\'b"), ("a\\ b", "a b"), ("'${x'", "${x"),
            // Defaults
            ("${x:-d}", "one"), ("${x-d}", "one"), ("${unset:-d}", "d"), ("${unset-d}", "d"), ("${empty:-d}", "d"), ("${empty-d}", ""),
            ("${unset:-}", ""), ("${unset:-$x}", "one"), ("${unset:-${x}}", "one"), ("${unset:-${other:-deep}}", "deep"),
            ("${unset:-a b}", "a b"),
            ("${unset:-'a}b'}", "a}b"), ("${unset:-\"a}b\"}", "a}b"), ("${unset:-a\\}b}", "a}b"), ("${unset:-\\$x}", "$x"),
            ("${unset:-${x}-${x}}", "one-one"),
            // Alternatives
            ("${x:+d}", "d"), ("${x+d}", "d"), ("${unset:+d}", ""), ("${unset+d}", ""), ("${empty:+d}", ""), ("${empty+d}", "d"),
            ("${x:+$dots}", "1.2.3"),
            // Demands
            ("${x:?e}", "one"), ("${x?e}", "one"), ("${empty?e}", ""),
            // Prefixes
            ("${path#/}", "a/b/c.tar.gz"), ("${path#*/}", "a/b/c.tar.gz"), ("${path##*/}", "c.tar.gz"), ("${path#x}", "/a/b/c.tar.gz"),
            ("${path#/?/}", "b/c.tar.gz"), ("${path##*}", ""), ("${path#*}", "/a/b/c.tar.gz"), ("${path#}", "/a/b/c.tar.gz"),
            ("${unset#a}", ""),
            ("${star#\\*}", ""), ("${x#\\*}", "one"), ("${path#$star/}", "a/b/c.tar.gz"), ("${path#\"/a\"}", "/b/c.tar.gz"),
            ("${A#?}", "∂ß"),
            // Suffixes
            ("${path%.gz}", "/a/b/c.tar"), ("${path%.*}", "/a/b/c.tar"), ("${path%%.*}", "/a/b/c"), ("${path%/*}", "/a/b"),
            ("${path%%/*}", ""),
            ("${path%x}", "/a/b/c.tar.gz"), ("${dots%.*}", "1.2"), ("${dots%%.*}", "1"), ("${dots%.?}", "1.2"), ("${A%?}", "β∂"),
            ("${nul%\\\\*}", "a"),
            // Replacements
            ("${x/n/m}", "ome"), ("${dots/./-}", "1-2.3"), ("${dots//./-}", "1-2-3"), ("${dots//./}", "123"), ("${dots/x/-}", "1.2.3"),
            ("${path//\\//_}", "_a_b_c.tar.gz"), ("${path/a*c/X}", "/X.tar.gz"), ("${path//?/x}", "xxxxxxxxxxxxx"),
            ("${dots/./$x}", "1one2.3"),
            ("${unset/a/b}", ""), ("${dots//*/x}", "x"), ("${star/\\*/s}", "s"), ("${dots///-}", "1.2.3"), ("${A/∂/d}", "βdß"),
        ])
    func expands(text: String, result: String) throws { #expect(try Self.expansion().word(text) == result) }

    @Test(
        "What can't be expanded is an error",
        arguments: [
            ("${", "'}' is missing"), ("${x", "'}' is missing"), ("${}", "bad substitution"), ("${{x}}", "bad substitution"),
            ("${:x}", "bad substitution"),
            ("${x:-a", "'}' is missing"), ("${x:", "'}' is missing"), ("'a", "a single quote is not closed"),
            ("\"a", "a double quote is not closed"),
            ("${x:#a}", "unsupported modifier ':#'"), ("${x:%a}", "unsupported modifier ':%'"), ("${x:/a/b}", "unsupported modifier ':/'"),
            ("${x^}", "unsupported modifier '^'"), ("${x,,}", "unsupported modifier ','"), ("${x:0:1}", "unsupported modifier ':0'"),
            ("${x.y}", "unsupported modifier '.'"), ("${unset:?}", "unset: is not set"), ("${unset?}", "unset: is not set"),
            ("${empty:?}", "empty: is empty"), ("${unset:?give it}", "unset: give it"), ("${unset?$x}", "unset: one"),
            ("${x/a}", "'/' is missing"),
            ("${x/a/b", "'}' is missing"), ("\"${x\"", "unsupported modifier '\"'"),
        ])
    func fails(text: String, message: String) {
        #expect { try Self.expansion().word(text) } throws: { ($0 as? Complaint)?.message.contains(message) == true }
    }

    @Test(
        "Words part at white space that is not quoted, in values too",
        arguments: [
            ("a b", ["a", "b"]), ("$spaces", ["a", "b", "c"]), ("\"$spaces\"", ["a b  c"]), ("x$spaces", ["xa", "b", "c"]),
            ("'a b' c", ["a b", "c"]),
            ("a\\ b", ["a b"]), ("$unset", []), ("\"\"", [""]), ("\"$unset\"", [""]), ("$unset a", ["a"]), ("  ", []),
            ("${unset:-p q}", ["p", "q"]),
            ("a$empty", ["a"]), ("a'' b", ["a", "b"]),
        ])
    func words(text: String, words: [String]) throws { #expect(try Self.expansion().words(text) == words) }

    @Test(
        "Heredocs keep their quotes",
        arguments: [
            ("\"$x\"", "\"one\""), ("'$x'", "'one'"), ("it's", "it's"), ("\\$x", "$x"), ("\\\\", "\\"), ("\\\n", "\n"),
            ("a\n$x\n", "a\none\n"),
            ("${unset:-\"q\"}", "\"q\""),
        ])
    func heredoc(text: String, result: String) throws { #expect(try Self.expansion(ignoresQuotes: true).word(text) == result) }

    @Test("Another escape character takes the place of the backslash")
    func otherEscape() throws {
        let expansion = Self.expansion(escape: UInt8(ascii: "`"))
        #expect(try expansion.word("C:\\$x") == "C:\\one")
        #expect(try expansion.word("`$x") == "$x")
        #expect(try expansion.word("\"`$x`\"\"") == "$x\"")
    }

    @Test("An unset variable can stay as it is written")
    func keepsUnset() throws {
        for text in ["$u", "${u}", "${u:-d}", "a${u#b}c", "${u:?}"] { #expect(try Self.expansion(keepsUnset: true).word(text) == text) }
        #expect(try Self.expansion(keepsUnset: true).word("$x$u") == "one$u")
    }

    @Test("Hostile text ends in an error, soon")
    func bounded() throws {
        let deep = String(repeating: "${u:-", count: 1_000) + String(repeating: "}", count: 1_000)
        #expect(throws: Complaint.self) { try Self.expansion().word(deep) }
        let long = String(repeating: "a", count: 200_000)
        let expansion = Expansion(escape: UInt8(ascii: "\\")) { _ in long }
        #expect(throws: Complaint.self) { try expansion.word("$a$a$a$a$a$a") }
        #expect(throws: Complaint.self) { try expansion.word("\"$a$a$a$a$a$a\"") }
        #expect(throws: Complaint.self) { try expansion.word("${a//*b*c*d/x}") }
        #expect(throws: Complaint.self) { try expansion.word("${a//?/aaaaaaaaaa}") }
        #expect(try expansion.word("${a%%a*}") == "")
    }

    @Test("Prefix patterns agree with a plain recursive definition")
    func property() throws {
        var random = SplitMix(seed: 3)
        for _ in 0..<5_000 {
            let pattern = random.text(of: ["a", "b", "*", "?"], upTo: 5)
            let text = random.text(of: ["a", "b"], upTo: 7)
            let lengths = (0...text.count).filter { Self.matches(Array(pattern)[...], Array(text)[..<$0]) }
            let glob = ShellGlob(Array(pattern.utf8))
            let scalars = Array(text.unicodeScalars)
            #expect(try glob.droppingPrefix(of: scalars, longest: false).count == text.count - (lengths.first ?? 0), "\(pattern) \(text)")
            #expect(try glob.droppingPrefix(of: scalars, longest: true).count == text.count - (lengths.last ?? 0), "\(pattern) \(text)")
        }
    }

    private static func matches(_ pattern: ArraySlice<Character>, _ text: ArraySlice<Character>) -> Bool {
        guard let first = pattern.first else { return text.isEmpty }
        if first == "*" { return matches(pattern.dropFirst(), text) || (!text.isEmpty && matches(pattern, text.dropFirst())) }
        guard let next = text.first, first == "?" || first == next else { return false }
        return matches(pattern.dropFirst(), text.dropFirst())
    }
}

/// A small generator so that a failing case comes again.
struct SplitMix: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    mutating func text(of alphabet: [String], upTo length: Int) -> String {
        (0..<Int.random(in: 0...length, using: &self)).map { _ in alphabet.randomElement(using: &self) ?? "" }.joined()
    }
}
