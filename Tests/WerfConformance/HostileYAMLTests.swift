import Testing

@testable import WerfFrontend

@Suite struct HostileYAMLTests {
    private let start = "configVersion: 1\nproject: a\n---\n"

    /// Each line has ten times the one before: 10^9 values in ten lines.
    private var laughs: String {
        var text = "image: a\nfrom: x\nshell:\n  install: &a0 [x]\n"
        for level in 1...9 {
            let item = "*a\(level - 1)"
            text += "  k\(level): &a\(level) [\((0..<10).map { _ in item }.joined(separator: ", "))]\n"
        }
        return text
    }

    @Test(.timeLimit(.minutes(1))) func `Aliases of aliases end with an error, not with the memory`() {
        #expect(error(start + laughs).contains("with its aliases the file has more than"))
    }

    @Test(
        .timeLimit(.minutes(1)),
        arguments: [
            "*a9 : x", "[*a9]: x", "{x: *a9}: x", "[ *a9, 1 ] : x", "? *a9\n: x", "?\n  - *a9\n: x", "{? [*a9] : x}", "- ? *a9",
        ])
    func `An alias in a key is refused before anything compares the keys`(_ key: String) {
        let message = error(start + laughs + key + "\n")
        #expect(message.contains("alias"), "\(message)")
    }

    @Test func `Aliases and merge keys work where they are not keys`() throws {
        let config = try werf(
            """
            image: a
            from: &base alpine
            shell: &shell
              install: &steps [make, 'echo *steps done']
            ---
            image: b
            from: *base
            shell:
              <<: *shell
              setup: *steps

            """)
        guard case .stapel(let image) = try #require(config["b"]).body else { return #expect(Bool(false)) }
        #expect(image.base.name == "alpine")
        #expect(image.shell?.commands == [.install: ["make", "echo *steps done"], .setup: ["make", "echo *steps done"]])
    }

    @Test func `Values that stand in each other too deep are refused`() {
        #expect(
            error(start + "image: a\nfrom: " + String(repeating: "[", count: 900) + String(repeating: "]", count: 900)).contains(
                "deeper than"))
        #expect(!error(start + "image: a\nfrom: " + String(repeating: "[", count: 100_000)).isEmpty)
    }

    @Test func `A list of names does not make a plan as large as it likes`() {
        let names = (0..<400).map { "n\($0)" }.joined(separator: ", ")
        let script = String(repeating: "x", count: 100_000)
        #expect(error(start + "image: [\(names)]\nfrom: a\nshell: {install: \(script)}\n").contains("each name counted"))
        #expect(error(start + "image: [\((0..<501).map { "n\($0)" }.joined(separator: ", "))]\nfrom: a\n").contains("has 501 images"))
    }

    @Test(.timeLimit(.minutes(1))) func `Mappings and their masks are bounded, since each is compared with each`() {
        let mappings = (0..<101).map { "- {add: /\($0), to: /\($0)}\n" }.joined()
        #expect(error(start + "image: a\nfrom: x\ngit:\n" + mappings).contains("it has 101 mappings"))
        let masks = (0..<250).map { "m\($0)" }.joined(separator: ", ")
        let two = (0..<2).map { "- {to: /\($0), includePaths: [\(masks)]}\n" }.joined()
        #expect(error(start + "image: a\nfrom: x\ngit:\n" + two).isEmpty)
        #expect(
            error(start + "image: a\nfrom: x\ngit:\n" + two + "- {to: /x, includePaths: y}\n").contains("501 include and exclude paths"))
    }

    @Test func `A file that is too long is refused`() {
        #expect(error(start + "# " + String(repeating: "x", count: YAMLReader.maximumBytes)).contains("expected at most"))
    }

    @Test(.timeLimit(.minutes(1))) func `Any bytes give a config or an error`() throws {
        var random = Seeded(state: 7)
        let seed = """
            configVersion: 1
            project: a
            ---
            image: [a, b]
            from: alpine
            mount: [{from: build_dir, to: /a}]
            git: [{to: /app, stageDependencies: {install: ['**/*']}}]
            shell: {install: &x [make], setup: *x}
            docker: {ENV: {A: b}, CMD: [a], HEALTHCHECK: "CMD a"}
            ---
            image: c
            dockerfile: Dockerfile
            args: {A: b}
            """
        let words = [
            "&x", "*x", "? ", ": ", "- ", "[", "]", "{", "}", "\n", "---\n", "'", "\"", "~", "..", "/", "\u{0}", "é", "<<: *x", "!!int",
        ]
        var planned = 0
        for _ in 0..<2_000 {
            var bytes = Array(seed.utf8)
            for _ in 0..<Int.random(in: 1...6, using: &random) {
                let place = Int.random(in: 0...bytes.count, using: &random)
                if Bool.random(using: &random) {
                    bytes.insert(contentsOf: Array(words.randomElement(using: &random)?.utf8 ?? "x".utf8), at: place)
                } else {
                    bytes.removeSubrange(place..<min(bytes.count, place + Int.random(in: 0...9, using: &random)))
                }
            }
            let text = String(decoding: bytes, as: UTF8.self)
            guard let config = try? WerfConfig(parsing: text, name: "werf.yaml") else { continue }
            planned += (try? config.plan(files: ["Dockerfile": "FROM x\nCOPY a/b /b/\n", ".dockerignore": text])) == nil ? 0 : 1
            _ = (try? config.permissions(), try? config.secrets(), try? config.platform())
        }
        #expect(planned > 20)
    }
}

/// SplitMix64: the same numbers in each run.
struct Seeded: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
