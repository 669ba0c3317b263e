import BuildPlan
import Testing

@testable import DockerfileFrontend

@Suite struct InstructionErrorTests {
    @Test(
        "A malformed file names the file, the line and what was expected",
        arguments: [
            ("", "Dockerfile: the file has no FROM: a build needs a base"),
            ("# nothing", "Dockerfile: the file has no FROM: a build needs a base"),
            ("ARG a", "Dockerfile: the file has no FROM: a build needs a base"),
            ("RUN a", "Dockerfile:1: RUN before the first FROM: only ARG may stand there"),
            ("\n\nENV a=b\nFROM x", "Dockerfile:3: ENV before the first FROM: only ARG may stand there"),
            ("FROM a\n\nRUNN make", "Dockerfile:3: unknown instruction: RUNN (did you mean RUN?)"),
            ("FORM a", "Dockerfile:1: unknown instruction: FORM (did you mean FROM?)"),
            ("FROM a\nCOPPY a b", "Dockerfile:2: unknown instruction: COPPY (did you mean COPY?)"),
            ("FROM a\nXYZZY", "Dockerfile:2: unknown instruction: XYZZY"),
            ("FROM a\n\u{301}RUN a", "Dockerfile:2: unknown instruction: \u{301}RUN (did you mean RUN?)"),
            ("FROM", "Dockerfile:1: FROM needs at least one argument"),
            ("FROM a b", "Dockerfile:1: FROM a b: expected FROM image, or FROM image AS name"),
            ("FROM a AS", "Dockerfile:1: FROM a AS: expected FROM image, or FROM image AS name"),
            ("FROM a SA b", "Dockerfile:1: FROM a SA b: expected FROM image, or FROM image AS name"),
            ("FROM a AS b c", "Dockerfile:1: FROM a AS b c: expected FROM image, or FROM image AS name"),
            ("FROM a AS 1b", "Dockerfile:1: invalid stage name '1b': expected a letter, then letters, digits, '-', '_' and '.'"),
            ("FROM a AS b/c", "Dockerfile:1: invalid stage name 'b/c': expected a letter, then letters, digits, '-', '_' and '.'"),
            ("FROM a AS $x", "Dockerfile:1: invalid stage name '$x': expected a letter, then letters, digits, '-', '_' and '.'"),
            ("FROM --plaform=a b", "Dockerfile:1: FROM: unknown flag --plaform (did you mean --platform?)"),
            ("FROM --platform b", "Dockerfile:1: FROM --platform: expected a value, --platform=…"),
            ("FROM --platform= b", "Dockerfile:1: FROM --platform: expected a value, --platform=…"),
            ("FROM --platform=a/b --platform=a/b b", "Dockerfile:1: FROM --platform stands twice: one is allowed"),
            ("FROM a\nRUN", "Dockerfile:2: RUN needs at least one argument"),
            ("FROM a\nRUN []", "Dockerfile:2: RUN needs at least one argument"),
            ("FROM a\nRUN [1]", "Dockerfile:2: RUN [1]: a JSON array may hold strings only"),
            ("FROM a\nRUN --mont=type=cache,target=/a x", "Dockerfile:2: RUN: unknown flag --mont (did you mean --mount?)"),
            ("FROM a\nRUN --network=nnoe x", "Dockerfile:2: RUN --network=nnoe: expected default, none or host (did you mean none?)"),
            ("FROM a\nRUN --security=isecure x", "Dockerfile:2: RUN --security=isecure: expected sandbox"),
            ("FROM a\nRUN --mount=target=/a", "Dockerfile:2: RUN needs at least one argument"),
            ("FROM a\nRUN \\\n  --mount=targt=/a x", "Dockerfile:2: --mount=targt=/a: unknown key 'targt' (did you mean target?)"),
            ("FROM a\nARG", "Dockerfile:2: ARG needs at least one argument"),
            ("FROM a\nARG =b", "Dockerfile:2: ARG =b: a name is missing before '='"),
            ("FROM a\nENV", "Dockerfile:2: ENV needs at least one argument"),
            ("FROM a\nENV a", "Dockerfile:2: ENV a: expected ENV name=value"),
            ("FROM a\nENV a=b c", "Dockerfile:2: ENV: 'c' has no '=': expected name=value (quote a value that has blanks)"),
            ("FROM a\nENV =b", "Dockerfile:2: ENV =b: a name is missing before '='"),
            ("FROM a\nLABEL a", "Dockerfile:2: LABEL a: expected LABEL name=value"),
            ("FROM a\nCOPY a", "Dockerfile:2: COPY a: expected at least one source and a destination"),
            ("FROM a\nCOPY [\"a\"]", "Dockerfile:2: COPY [\"a\"]: expected at least one source and a destination"),
            ("FROM a\nCOPY [1, 2]", "Dockerfile:2: COPY [1, 2]: a JSON array may hold strings only"),
            ("FROM a\nCOPY --form=x a b", "Dockerfile:2: COPY: unknown flag --form (did you mean --from?)"),
            ("FROM a\nCOPY --from=$x a b", "Dockerfile:2: COPY --from=$x: variables are not expanded there; name a stage: FROM $x AS name"),
            ("FROM a\nCOPY --link=maybe a b", "Dockerfile:2: COPY --link=maybe: expected true or false"),
            ("FROM a\nCOPY --checksum=sha256:1 a b", "Dockerfile:2: COPY: unknown flag --checksum"),
            ("FROM a\nCOPY a <<E\nx\nE", "Dockerfile:2: COPY: a heredoc can't be the destination"),
            ("FROM a\nCOPY <<a/b /\nx\na/b", "Dockerfile:2: COPY: 'a/b' can't be a file's name"),
            ("FROM a\nCOPY <<.. /\nx\n..", "Dockerfile:2: COPY: '..' can't be a file's name"),
            ("FROM a\nCOPY <<\"a b\" /\nx\na b", "Dockerfile:2: COPY: heredoc 'a b' is no source: expected a name without blanks"),
            ("FROM a\nRUN [\"a\"] <<E\nx\nE", ""),
            ("FROM a\nSHELL /bin/bash", "Dockerfile:2: SHELL /bin/bash: expected JSON form, like SHELL [\"/bin/bash\", \"-c\"]"),
            ("FROM a\nSHELL []", "Dockerfile:2: SHELL []: expected JSON form, like SHELL [\"/bin/bash\", \"-c\"]"),
            ("FROM a\nVOLUME []", "Dockerfile:2: VOLUME needs at least one argument"),
            ("FROM a\nVOLUME [1]", "Dockerfile:2: VOLUME [1]: a JSON array may hold strings only"),
            ("FROM a\nCMD", "Dockerfile:2: CMD needs at least one argument"),
            ("FROM a\nCMD [1]", "Dockerfile:2: CMD [1]: a JSON array may hold strings only"),
            ("FROM a\nENTRYPOINT [null]", "Dockerfile:2: ENTRYPOINT [null]: a JSON array may hold strings only"),
            ("FROM a\nHEALTHCHECK", "Dockerfile:2: HEALTHCHECK needs at least one argument"),
            ("FROM a\nHEALTHCHECK CDM x", "Dockerfile:2: HEALTHCHECK CDM: expected CMD or NONE (did you mean CMD?)"),
            ("FROM a\nHEALTHCHECK NONE x", "Dockerfile:2: HEALTHCHECK NONE takes no arguments"),
            ("FROM a\nHEALTHCHECK CMD", "Dockerfile:2: HEALTHCHECK CMD needs a command after CMD"),
            (
                "FROM a\nHEALTHCHECK --interval=5 CMD x",
                "Dockerfile:2: HEALTHCHECK --interval=5: expected a duration of at least 1ms, like 30s or 1m30s"
            ),
            (
                "FROM a\nHEALTHCHECK --timeout=1us CMD x",
                "Dockerfile:2: HEALTHCHECK --timeout=1us: expected a duration of at least 1ms, like 30s or 1m30s"
            ),
            ("FROM a\nHEALTHCHECK --retries=x CMD x", "Dockerfile:2: HEALTHCHECK --retries=x: expected a number from 0"),
            ("FROM a\nHEALTHCHECK --retrys=1 CMD x", "Dockerfile:2: HEALTHCHECK: unknown flag --retrys (did you mean --retries?)"),
            ("FROM a\nONBUILD", "Dockerfile:2: ONBUILD needs at least one argument"),
            ("FROM a\nONBUILD ONBUILD RUN x", "Dockerfile:2: ONBUILD is not allowed after ONBUILD"),
            ("FROM a\nONBUILD from x", "Dockerfile:2: FROM is not allowed after ONBUILD"),
            ("FROM a\nONBUILD MAINTAINER x", "Dockerfile:2: MAINTAINER is not allowed after ONBUILD"),
            ("FROM a\nONBUILD RUNN x", "Dockerfile:2: unknown instruction: RUNN (did you mean RUN?)"),
            ("FROM a\nONBUILD RUN <<E\nx\nE", "Dockerfile:2: ONBUILD with heredocs is not supported"),
            ("FROM a\nWORKDIR", "Dockerfile:2: WORKDIR needs at least one argument"),
            ("FROM a\nUSER", "Dockerfile:2: USER needs at least one argument"),
            ("FROM a\nEXPOSE", "Dockerfile:2: EXPOSE needs at least one argument"),
            ("FROM a\nSTOPSIGNAL", "Dockerfile:2: STOPSIGNAL needs at least one argument"),
            ("FROM a\nMAINTAINER", "Dockerfile:2: MAINTAINER needs at least one argument"),
        ].filter { !$0.1.isEmpty })
    func malformed(text: String, message: String) {
        #expect { try Dockerfile(parsing: text, name: "Dockerfile") } throws: { "\($0)" == message }
    }

    @Test(
        "What is wrong after expansion, or not built yet, names its line too",
        arguments: [
            ("FROM $x", "Dockerfile:1: FROM $x: the base's name is empty; give its ARG a default before the first FROM"),
            ("FROM a\nARG x=b\nFROM $x", "Dockerfile:3: FROM $x: the base's name is empty; give its ARG a default before the first FROM"),
            ("FROM ${x", "Dockerfile:1: '${x': '}' is missing"),
            ("ARG x=\"a b\"\nFROM $x", "Dockerfile:2: FROM $x: 'a b' is no image name"),
            (
                "FROM --platform=linux/arm64 a",
                "Dockerfile:1: FROM --platform=linux/arm64: stages of another platform than the build's (linux/amd64) are not built yet"
            ),
            ("FROM --platform=x a", "Dockerfile:1: FROM --platform=x: 'x' is no platform: expected one like linux/amd64"),
            ("ARG x=${\nFROM a", "Dockerfile:1: '${': '}' is missing"),
            ("FROM a\nRUN --security=insecure x", "Dockerfile:2: RUN --security=insecure is not built yet"),
            ("FROM a\nRUN --device=x y", "Dockerfile:2: RUN --device is not built yet"),
            ("FROM a\nCOPY --parents a b", "Dockerfile:2: COPY --parents is not built yet"),
            ("FROM a\nADD --checksum=sha256:1 https://x/y b", "Dockerfile:2: ADD --checksum is not built yet"),
            ("FROM a\nADD --keep-git-dir=true a b", "Dockerfile:2: ADD --keep-git-dir is not built yet"),
            ("FROM a\nADD https://x/y b", "Dockerfile:2: ADD https://x/y: sources from the network are not built yet"),
            ("FROM a\nADD HTTP://x/y b", "Dockerfile:2: ADD HTTP://x/y: sources from the network are not built yet"),
            ("FROM a\nADD git@github.com:x/y b", "Dockerfile:2: ADD git@github.com:x/y: sources from the network are not built yet"),
            ("FROM a\nARG u=https://x\nADD $u/y b", "Dockerfile:3: ADD https://x/y: sources from the network are not built yet"),
            (
                "FROM a\nCOPY --chmod=u+x a b",
                "Dockerfile:2: COPY --chmod=u+x: symbolic modes are not built yet, expected octal digits, like 0755"
            ),
            ("FROM a\nCOPY --chmod=888 a b", "Dockerfile:2: COPY --chmod=888: expected octal digits, like 0755"),
            ("FROM a\nCOPY --chmod=77777 a b", "Dockerfile:2: COPY --chmod=77777: expected octal digits, like 0755"),
            ("FROM a\nCOPY --chown=: a b", "Dockerfile:2: COPY --chown=:: expected user or user:group"),
            ("FROM a\nCOPY --chown=a:b:c a b", "Dockerfile:2: COPY --chown=a:b:c: expected user or user:group"),
            ("FROM a\nCOPY --chown=$x a b", "Dockerfile:2: COPY --chown=: expected user or user:group"),
            ("FROM a\nCOPY $x b", "Dockerfile:2: COPY: source '$x' is empty"),
            ("FROM a\nCOPY a[ b", "Dockerfile:2: COPY: pattern 'a[': a set that '[' opens is not closed by ']'"),
            ("FROM a\nCOPY --exclude=[ a b", "Dockerfile:2: COPY --exclude: pattern '[': a set that '[' opens is not closed by ']'"),
            ("FROM a\nCOPY --from=3 a b", "Dockerfile:2: there is no stage 3: expected one of 0"),
            ("FROM a AS x\nFROM b\nCOPY --from=2 a b", "Dockerfile:3: there is no stage 2: expected one of x, 1"),
            ("FROM a\nCOPY --from=scratch a b", "Dockerfile:2: from scratch: there is nothing in it to read"),
            ("FROM a\nCOPY --from=0 a b", "Dockerfile:1: the stages 'stage-0' need each other in a circle or wait for one"),
            (
                "FROM a AS x\nCOPY --from=y a b\nFROM a AS y\nCOPY --from=x a b",
                "Dockerfile:1: the stages 'x', 'y' need each other in a circle or wait for one"
            ),
            ("FROM a\nWORKDIR $x", "Dockerfile:2: WORKDIR $x: the path is empty"), ("FROM a\nENV a=$", ""),
            ("FROM a\nENV a=${", "Dockerfile:2: '${': '}' is missing"),
            ("FROM a\nENV $x=b", "Dockerfile:2: '$x=b': the name is empty"),
            ("FROM a\nEXPOSE http", "Dockerfile:2: EXPOSE http: expected a port from 1 to 65535 or a range, like 80, 53/udp or 8000-8010"),
            (
                "FROM a\nEXPOSE 70000",
                "Dockerfile:2: EXPOSE 70000: expected a port from 1 to 65535 or a range, like 80, 53/udp or 8000-8010"
            ),
            ("FROM a\nEXPOSE 9-8", "Dockerfile:2: EXPOSE 9-8: expected a port from 1 to 65535 or a range, like 80, 53/udp or 8000-8010"),
            (
                "FROM a\nEXPOSE 8080:80",
                "Dockerfile:2: EXPOSE 8080:80: expected a port from 1 to 65535 or a range, like 80, 53/udp or 8000-8010"
            ),
            ("FROM a\nEXPOSE 80/tpc", "Dockerfile:2: EXPOSE 80/tpc: unknown protocol 'tpc': expected tcp, udp or sctp (did you mean tcp?)"),
            ("FROM a\nEXPOSE $x", "Dockerfile:2: EXPOSE $x: no port is left after expansion"),
            ("FROM a\nSTOPSIGNAL SIGNOPE", "Dockerfile:2: STOPSIGNAL SIGNOPE: expected a signal like SIGTERM or a number from 1 to 64"),
            ("FROM a\nSTOPSIGNAL 65", "Dockerfile:2: STOPSIGNAL 65: expected a signal like SIGTERM or a number from 1 to 64"),
            ("FROM a\nVOLUME data", "Dockerfile:2: VOLUME data: 'data' is not an absolute path"),
            ("FROM a\nUSER 'x", "Dockerfile:2: ''x': a single quote is not closed"),
            ("FROM a\nLABEL a='b", "Dockerfile:2: ''b': a single quote is not closed"),
        ].filter { !$0.1.isEmpty })
    func wrong(text: String, message: String) {
        #expect { try plan(text) } throws: { "\($0)" == message }
    }

    @Test("An unknown target names the stages and the nearest of them")
    func unknownTarget() {
        let text = "FROM a AS builder\nFROM b\nFROM c AS final"
        #expect { try plan(text, FrontendOptions(target: "bulder", platform: amd64)) } throws: {
            "\($0)" == "Dockerfile: there is no stage 'bulder' to be the target: expected one of builder, 1, final (did you mean builder?)"
        }
        #expect(throws: DockerfileError.self) { try plan(text, FrontendOptions(target: "3", platform: amd64)) }
        #expect(throws: DockerfileError.self) { try plan(text, FrontendOptions(target: "", platform: amd64)) }
    }

    @Test("A base image that is not there is named with its line")
    func missingImage() throws {
        let file = try Dockerfile(parsing: "FROM scratch\nFROM nothere:1\n", name: "sub/Dockerfile")
        #expect { try file.makePlan(options: FrontendOptions(platform: amd64), images: [:]) } throws: {
            "\($0)" == "sub/Dockerfile:2: base image 'nothere:1' was not found"
        }
        let copying = try Dockerfile(parsing: "FROM scratch\nCOPY --from=nothere:1 a b", name: "f")
        #expect(throws: DockerfileError.self) { try copying.makePlan(options: FrontendOptions(platform: amd64), images: [:]) }
    }

    @Test("Files beyond the limits are refused")
    func limits() {
        let huge = "FROM a\n" + String(repeating: "#", count: Dockerfile.maximumBytes)
        #expect(throws: DockerfileError.self) { try Dockerfile(parsing: huge, name: "f") }
        let many = String(repeating: "FROM a\n", count: Dockerfile.maximumStages + 1)
        #expect(throws: DockerfileError.self) { try Dockerfile(parsing: many, name: "f") }
        let instructions = "FROM a\n" + String(repeating: "USER a\n", count: Dockerfile.maximumInstructions)
        #expect(throws: DockerfileError.self) { try Dockerfile(parsing: instructions, name: "f") }
        let triggers =
            "FROM a AS t0\n" + (0..<200).map { "ONBUILD ENV a\($0)=b\n" }.joined() + (0..<50).map { "FROM t0 AS c\($0)\n" }.joined()
            + "FROM a\n" + (0..<50).map { "COPY --from=c\($0) a b\n" }.joined()
        #expect(throws: DockerfileError.self) { try plan(triggers) }
        let doubling = "FROM a\nENV a=" + String(repeating: "x", count: 1_000) + "\n" + String(repeating: "ENV a=$a$a\n", count: 40)
        #expect(throws: DockerfileError.self) { try plan(doubling) }
        let wide = "FROM a\nENV a=" + String(repeating: "x", count: 100_000) + "\nENV" + (0..<1_000).map { " b\($0)=$a" }.joined()
        #expect(throws: DockerfileError.self) { try plan(wide) }
        let mounts = "FROM a\nRUN " + String(repeating: "--mount=target=/a ", count: 201) + "x"
        #expect(throws: DockerfileError.self) { try plan(mounts) }
    }
}
