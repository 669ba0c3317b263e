import Testing

@testable import BuildPlan

@Suite struct PathPatternTests {
    @Test(
        "A COPY pattern matches what Go's filepath.Match matches",
        arguments: [
            ("abc", "abc", true), ("*", "abc", true), ("*c", "abc", true), ("a*", "a", true), ("a*", "abc", true), ("a*", "ab/c", false),
            ("a*/b", "abc/b", true), ("a*/b", "a/c/b", false), ("a*b*c*d*e*/f", "axbxcxdxe/f", true),
            ("a*b*c*d*e*/f", "axbxcxdxexxx/f", true), ("a*b*c*d*e*/f", "axbxcxdxe/xxx/f", false),
            ("a*b*c*d*e*/f", "axbxcxdxexxx/fff", false), ("a*b?c*x", "abxbbxdbxebxczzx", true), ("a*b?c*x", "abxbbxdbxebxczzy", false),
            ("ab[c]", "abc", true), ("ab[b-d]", "abc", true), ("ab[e-g]", "abc", false), ("ab[^c]", "abc", false),
            ("ab[^b-d]", "abc", false), ("ab[^e-g]", "abc", true), ("a\\*b", "a*b", true), ("a\\*b", "ab", false), ("a?b", "a☺b", true),
            ("a[^a]b", "a☺b", true), ("a???b", "a☺b", false), ("a[^a][^a][^a]b", "a☺b", false), ("[a-ζ]*", "α", true),
            ("*[a-ζ]", "A", false), ("a?b", "a/b", false), ("a*b", "a/b", false), ("[\\]a]", "]", true), ("[\\-]", "-", true),
            ("[x\\-]", "x", true), ("[x\\-]", "-", true), ("[x\\-]", "z", false), ("[\\-x]", "x", true), ("[\\-x]", "a", false),
            ("*x", "xxx", true), ("**/b", "a/c/b", false), ("a**c", "abbc", true), ("", "", true), ("", "a", false), ("?", "", false),
            ("[z-a]", "b", false), ("a/*/c", "a/b/c", true), ("a/*/c", "a/b/b/c", false),
        ])
    func copy(pattern: String, path: String, matches: Bool) throws {
        #expect(try PathPattern(pattern, syntax: .copy).matches(path) == matches)
    }

    @Test(
        "A malformed pattern is refused",
        arguments: ["[", "a[", "[]a]", "[-]", "[x-]", "[-x]", "[a-b-c]", "a[x-]", "[^", "[^bc", "a\\", "[\\"])
    func malformed(pattern: String) {
        #expect(throws: PathPatternError.self) { try PathPattern(pattern, syntax: .copy) }
        #expect(throws: PathPatternError.self) { try PathPattern(pattern, syntax: .ignore) }
    }

    @Test(
        "Two stars cross directories in ignore files",
        arguments: [
            ("**", "file", true), ("**", "a/b", true), ("**/", "a/b", true), ("**/file", "file", true), ("**/file", "a/b/file", true),
            ("**/file", "a/bfile", false), ("**/**", "a/b", true), ("dir/**", "dir/file", true), ("dir/**", "dir/a/b", true),
            ("dir/**", "dir", false), ("dir/**/c", "dir/c", true), ("dir/**/c", "dir/a/b/c", true), ("**/dir2/*", "dir/dir2/file", true),
            ("**/dir2/*", "dir/dir2/a/file", false), ("a**/*.txt", "a/file.txt", true), ("a**/*.txt", "a/dir/file.txt", true),
            ("a/**/*.txt", "a/file.txt", true), ("a/**/*.txt", "b/file.txt", false), ("**.go", "main.go", true),
            ("**.go", "a/b/main.go", true), ("**.go", "main.goo", false), ("**/*.go", "a/main.go", true), ("*.go", "a/main.go", false),
            ("**/.git", "x/.git", true), ("a/**/b/**/c", "a/b/c", true), ("a/**/b/**/c", "a/x/b/y/z/c", true),
            ("a/**/b/**/c", "a/x/c", false), ("**/a*b/**/c?", "x/aXb/y/cz", true), ("**/a/*b", "a/a/xb", true),
            ("**/ab/ab", "ab/ab/ab", true),
        ])
    func doubleStar(pattern: String, path: String, matches: Bool) throws {
        #expect(try PathPattern(pattern, syntax: .ignore).matches(path) == matches)
    }

    @Test("Bytes that are not UTF-8 count as one character each")
    func notUTF8() throws {
        #expect(try PathPattern("a?b", syntax: .copy).matches([0x61, 0xFF, 0x62]))
        #expect(try PathPattern("a*b", syntax: .copy).matches([0x61, 0xC3, 0x28, 0xFF, 0x62]))
        #expect(try PathPattern("a[^x]b", syntax: .copy).matches([0x61, 0xE2, 0x62]))
        #expect(try !PathPattern("a?b", syntax: .copy).matches([0x61, 0xFF, 0xFE, 0x62]))
    }

    @Test(
        "A pattern without wildcards names one path", arguments: [("a/b", "a/b"), ("a\\*b", "a*b"), ("a*", nil), ("a?", nil), ("[a]", nil)])
    func literal(pattern: String, path: String?) throws {
        let compiled = try PathPattern(pattern, syntax: .copy)
        #expect(compiled.literal == path.map { Array($0.utf8) })
        #expect(compiled.hasWildcards == (path == nil))
    }

    @Test("Matching agrees with a plain recursive definition on random patterns and paths")
    func property() throws {
        var random = SeededGenerator(seed: 7)
        for _ in 0..<20_000 {
            let pattern = random.text(of: ["a", "b", "/", "*", "?"], upTo: 7)
            let path = random.text(of: ["a", "b", "/"], upTo: 8)
            let expected = matchesNaively(Array(pattern)[...], Array(path)[...])
            #expect(try PathPattern(pattern, syntax: .copy).matches(path) == expected, "\(pattern) on \(path)")
        }
    }

    @Test("A hostile pattern takes no exponential time")
    func hostile() throws {
        let path = Array(String(repeating: "a", count: 4_000).utf8)
        #expect(try !PathPattern(String(repeating: "a*", count: 200) + "b", syntax: .copy).matches(path))
        #expect(try !PathPattern(String(repeating: "**/a*", count: 200) + "b", syntax: .ignore).matches(path))
    }

    private func matchesNaively(_ pattern: ArraySlice<Character>, _ path: ArraySlice<Character>) -> Bool {
        guard let first = pattern.first else { return path.isEmpty }
        switch first {
        case "*":
            if matchesNaively(pattern.dropFirst(), path) { return true }
            guard let next = path.first, next != "/" else { return false }
            return matchesNaively(pattern, path.dropFirst())
        case "?":
            guard let next = path.first, next != "/" else { return false }
            return matchesNaively(pattern.dropFirst(), path.dropFirst())
        default: return path.first == first && matchesNaively(pattern.dropFirst(), path.dropFirst())
        }
    }
}

/// A small generator (SplitMix64) so that a failing case comes again.
struct SeededGenerator: RandomNumberGenerator {
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
