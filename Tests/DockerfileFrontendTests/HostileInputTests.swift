import BuildPlan
import Testing

@testable import DockerfileFrontend

@Suite struct HostileInputTests {
    private static let pieces = [
        "FROM ", "RUN ", "COPY ", "ADD ", "ENV ", "ARG ", "LABEL ", "HEALTHCHECK ", "ONBUILD ", "SHELL ", "VOLUME ", "EXPOSE ", "WORKDIR ",
        "a", "b ", " AS x", "\n", "\n", "\n",
        "\\\n", "<<E", "E\n", "$a", "${a", "}", ":-", "//", "#", "%", "\"", "'", "\\", "`", "[", "]", "\",\"", "--mount=", "--from=",
        "type=cache,", "target=/", ",", "=", "x", "0",
        "--", "# escape=`\n", "\u{FEFF}", "é", "\u{301}", "\t", "\r\n", "*", "?", "scratch", "/", "..", "{", "CMD ", "NONE", "1-2", "\u{0}",
    ]

    @Test("Random text never crashes the parser or the planner")
    func randomPieces() {
        var random = SplitMix(seed: 5)
        var plans = 0
        for round in 0..<5_000 {
            let text = (round & 1 == 0 ? "FROM scratch AS x\n" : "") + random.text(of: Self.pieces, upTo: 40)
            if (try? plan(text)) != nil { plans += 1 }
        }
        #expect(plans > 25)
    }

    @Test("Random bytes never crash the parser")
    func randomBytes() {
        var random = SplitMix(seed: 6)
        for _ in 0..<2_000 {
            let bytes = (0..<Int.random(in: 0...200, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) }
            _ = try? Dockerfile(parsing: String(decoding: bytes, as: UTF8.self), name: "f")
        }
    }

    @Test("Changed bytes of a real file never crash the planner")
    func mutations() {
        var random = SplitMix(seed: 8)
        let file = Array(
            """
            # syntax=docker/dockerfile:1
            ARG v=1
            FROM --platform=$BUILDPLATFORM golang:$v AS build
            RUN --mount=type=cache,target=/root/.cache,sharing=locked --mount=from=x,rw,target=y go build ./...
            COPY --from=0 --chown=1:2 --chmod=755 --exclude=*.md a b*/[a-z]? /c/
            COPY <<-"EOF" <<f /d/
            \ta
            \tEOF
            $v
            f
            HEALTHCHECK --interval=5s --retries=3 CMD ["a", "b"]
            ENV a="b c" d=${v:-x} e=${v##*/}
            """.utf8)
        for _ in 0..<2_000 {
            var copy = file
            for _ in 0..<Int.random(in: 1...6, using: &random) {
                let index = Int.random(in: 0..<copy.count, using: &random)
                switch Int.random(in: 0..<3, using: &random) {
                case 0: copy[index] = UInt8.random(in: 0...127, using: &random)
                case 1: copy.remove(at: index)
                default: copy.insert(file[Int.random(in: 0..<file.count, using: &random)], at: index)
                }
            }
            _ = try? plan(String(decoding: copy, as: UTF8.self))
        }
    }

    @Test(
        "Reading takes time in proportion to the length",
        arguments: [
            "RUN a \\\n", "# comment\n", "ENV a=$b\\\n", "COPY <<a b\nx\na\n", "'", "\"", "RUN <<a\n", "${", "--x ", "a=b ", "[\"a\",",
            "\\",
        ])
    func linear(piece: String) {
        func time(_ count: Int) -> Duration {
            let text = "FROM scratch\nRUN " + String(repeating: piece, count: count)
            return ContinuousClock().measure { _ = try? Dockerfile(parsing: text, name: "f") }
        }
        let small = 20_000 / piece.utf8.count
        _ = time(small)
        let one = (0..<3).map { _ in time(small) }.min() ?? .zero
        let sixteen = (0..<3).map { _ in time(16 * small) }.min() ?? .zero
        // Quadratic time would give 256; the rest is for a busy machine.
        #expect(sixteen < one * 80 + .milliseconds(50), "\(one) became \(sixteen)")
    }

    @Test("A file of the greatest size is planned in seconds")
    func greatest() throws {
        let line = "ENV " + (0..<100).map { "n\($0)=$n\($0)x" }.joined(separator: " ") + "\nRUN a\n"
        let text = "FROM base\n" + String(repeating: line, count: 2_000)
        let duration = try ContinuousClock().measure { _ = try plan(text) }
        #expect(duration < .seconds(60))
    }
}
