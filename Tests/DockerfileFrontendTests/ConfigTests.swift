import BuildPlan
import Testing

@testable import DockerfileFrontend

@Suite struct ConfigTests {
    private static let path = "PATH=\(StageBuilder.defaultPath)"

    private func config(_ text: String, base: (inout ImageConfig) -> Void = { _ in }) throws -> ImageConfig {
        try target("FROM base\n" + text, images: [baseImage("base", base)]).config
    }

    @Test(
        "ENV is expanded and kept in order",
        arguments: [
            ("ENV a=b", ["a=b"]), ("ENV a=b c=d", ["a=b", "c=d"]), ("ENV a b c", ["a=b c"]), ("ENV a=\"b c\"", ["a=b c"]),
            ("ENV a='b c' d=e", ["a=b c", "d=e"]),
            ("ENV a=b\\ c", ["a=b c"]), ("ENV a=b\nENV a=c", ["a=c"]), ("ENV a=1\nENV a=2 b=$a", ["a=2", "b=1"]),
            ("ENV a=1\nENV b=${a}2", ["a=1", "b=12"]),
            ("ENV a=", ["a="]), ("ENV a=b=c", ["a=b=c"]), ("ENV a=1 \\\n b=2", ["a=1", "b=2"]), ("ENV a=\u{301}\nENV a=x", ["a=x"]),
            ("ARG x=1\nENV a=$x", ["a=1"]), ("ENV a='$x'", ["a=$x"]), ("ENV a=\\$x", ["a=$x"]), ("ENV a \"b c\"", ["a=b c"]),
            ("ENV a$u=b", ["a=b"]),
        ])
    func env(text: String, env: [String]) throws { #expect(try config(text).env == [Self.path] + env) }

    @Test("A base's environment stays, and its PATH if it has one")
    func baseEnvironment() throws {
        let env = try config("ENV b=$a") { $0.env = ["PATH=/bin", "a=1", "b=0"] }.env
        #expect(env == ["PATH=/bin", "a=1", "b=1"])
    }

    @Test(
        "Labels",
        arguments: [
            ("LABEL a=b", ["a": "b"]), ("LABEL a=b c=d", ["a": "b", "c": "d"]), ("LABEL \"a b\"=\"c d\"", ["a b": "c d"]),
            ("LABEL a b c", ["a": "b c"]),
            ("LABEL a=1\nLABEL a=2", ["a": "2"]), ("ARG v=3\nLABEL a.$v=$v", ["a.3": "3"]), ("LABEL a=\"x\\\ny\"", ["a": "xy"]),
        ])
    func labels(text: String, labels: [String: String]) throws { #expect(try config(text).labels == labels) }

    @Test("Labels of the build win")
    func buildLabels() throws {
        let options = FrontendOptions(platform: amd64, labels: ["a": "build", "b": "2"])
        #expect(try target("FROM x\nLABEL a=file c=3", options).config.labels == ["a": "build", "b": "2", "c": "3"])
    }

    @Test(
        "Commands and entry points",
        arguments: [
            ("CMD echo $x", nil, ["/bin/sh", "-c", "echo $x"]), ("CMD [\"a\", \"b\"]", nil, ["a", "b"]),
            ("CMD [\"a\"", nil, ["/bin/sh", "-c", "[\"a\""]),
            ("ENTRYPOINT a", ["/bin/sh", "-c", "a"], nil), ("ENTRYPOINT [\"a\"]", ["a"], nil),
            ("CMD b\nENTRYPOINT [\"a\"]", ["a"], ["/bin/sh", "-c", "b"]),
            ("ENTRYPOINT [\"a\"]\nCMD [\"b\"]", ["a"], ["b"]), ("SHELL [\"/bin/bash\", \"-ec\"]\nCMD x", nil, ["/bin/bash", "-ec", "x"]),
            ("CMD []", nil, nil), ("ENTRYPOINT []", nil, nil), ("CMD a\nCMD [\"b\"]", nil, ["b"]),
            ("CMD --help", nil, ["/bin/sh", "-c", "--help"]),
            ("", ["base-entry"], ["base-cmd"]), ("CMD [\"x\"]", ["base-entry"], ["x"]),
        ] as [(String, [String]?, [String]?)])
    func commands(text: String, entrypoint: [String]?, cmd: [String]?) throws {
        let inherits = text.isEmpty || entrypoint == ["base-entry"]
        let result = try config(text) {
            if inherits { ($0.entrypoint, $0.cmd) = (["base-entry"], ["base-cmd"]) }
        }
        #expect(result.entrypoint == entrypoint)
        #expect(result.cmd == cmd)
    }

    @Test("ENTRYPOINT takes away an inherited CMD, of a stage below too")
    func entrypointResets() throws {
        #expect(try config("ENTRYPOINT [\"a\"]") { $0.cmd = ["inherited"] }.cmd == nil)
        #expect(try target("FROM x AS a\nCMD [\"c\"]\nFROM a\nENTRYPOINT [\"e\"]").config.cmd == nil)
        #expect(try target("FROM x AS a\nCMD [\"c\"]\nFROM a").config.cmd == ["c"])
    }

    @Test(
        "WORKDIR joins the one before",
        arguments: [
            ("WORKDIR /a", "/a"), ("WORKDIR a", "/base/a"), ("WORKDIR /a\nWORKDIR b\nWORKDIR ../c", "/a/c"), ("WORKDIR /a/", "/a"),
            ("WORKDIR /../x//y", "/x/y"),
            ("ENV d=/e\nWORKDIR $d/f", "/e/f"), ("WORKDIR \"/a b\"", "/a b"), ("WORKDIR /a b", "/a b"), ("WORKDIR /", "/"), ("", "/base"),
        ])
    func workdir(text: String, directory: String) throws {
        #expect(try config(text) { $0.workingDirectory = "/base" }.workingDirectory == directory)
    }

    @Test(
        "Ports",
        arguments: [
            ("EXPOSE 80", ["80/tcp"]), ("EXPOSE 80 53/udp", ["53/udp", "80/tcp"]), ("EXPOSE 80/TCP", ["80/tcp"]),
            ("EXPOSE 8000-8002/sctp", ["8000/sctp", "8001/sctp", "8002/sctp"]),
            ("EXPOSE 80\nEXPOSE 80 443", ["443/tcp", "80/tcp"]), ("ENV p='1 2'\nEXPOSE $p", ["1/tcp", "2/tcp"]),
            ("EXPOSE 65535", ["65535/tcp"]),
        ])
    func ports(text: String, ports: [String]) throws { #expect(try config(text).exposedPorts == ports) }

    @Test("Volumes, user, stop signal, shell, author")
    func others() throws {
        let result = try config(
            "VOLUME /b /a\nVOLUME [\"/c d\", \"/a\"]\nENV u=me\nUSER $u:1\nSTOPSIGNAL SIGKILL\nSHELL [\"/bin/ash\", \"-c\"]\nMAINTAINER A <b@c>\nONBUILD RUN x"
        )
        #expect(result.volumes == ["/a", "/b", "/c d"])
        #expect(result.user == "me:1")
        #expect(result.stopSignal == "SIGKILL")
        #expect(result.shell == ["/bin/ash", "-c"])
        #expect(result.author == "A <b@c>")
        #expect(result.onBuild == ["RUN x"])
        #expect(try config("USER $unset") { $0.user = "base" }.user == nil)
    }

    @Test("Stop signals that are known", arguments: ["SIGTERM", "TERM", "sigint", "9", "64", "SIGRTMIN", "SIGRTMIN+3", "RTMAX-2", "USR1"])
    func stopSignal(name: String) throws { #expect(try config("STOPSIGNAL \(name)").stopSignal == name) }

    @Test("Health checks")
    func healthchecks() throws {
        #expect(try config("HEALTHCHECK NONE").healthcheck == Healthcheck(test: ["NONE"]))
        #expect(try config("HEALTHCHECK CMD curl -f $x").healthcheck == Healthcheck(test: ["CMD-SHELL", "curl -f $x"]))
        var expected = Healthcheck(test: ["CMD", "a", "b"])
        (expected.interval, expected.timeout, expected.startPeriod) = (90_000_000_000, 1_500_000_000, 100_000_000)
        (expected.startInterval, expected.retries) = (3_600_000_000_000, 7)
        #expect(
            try config(
                "HEALTHCHECK --interval=1m30s --timeout=1.5s --start-period=100ms --start-interval=1h --retries=7 \\\n CMD [\"a\", \"b\"]"
            ).healthcheck == expected)
        #expect(try config("HEALTHCHECK --interval=0 cmd x").healthcheck?.interval == 0)
    }

    @Test(
        "Durations are read as Go writes them",
        arguments: [
            ("1s", 1_000_000_000), ("1.5h", 5_400_000_000_000), ("1h1m1s1ms1us1ns", 3_661_001_001_001), (".5s", 500_000_000),
            ("1.s", 1_000_000_000), ("0", 0),
            ("0s", 0), ("1µs", 1000), ("", nil), ("1", nil), ("s", nil), ("-1s", nil), ("1d", nil), ("1s2", nil), (".s", nil),
            ("1..5s", nil),
            ("999999999999999h", nil), ("1 s", nil),
        ] as [(String, Int64?)])
    func durations(text: String, nanoseconds: Int64?) { #expect(GoDuration.nanoseconds(text) == nanoseconds) }

    @Test("History has an entry for each instruction, and tells which made a layer")
    func history() throws {
        let base = BaseImage(
            name: "base", platform: amd64, config: ImageConfig(), history: [HistoryEntry(createdBy: "base layer", emptyLayer: false)],
            layers: [])
        let stage = try target(
            """
            FROM base
            ARG v=1
            ENV a=$v  b="x y"
            RUN make   it
            COPY --chown=u:g --chmod=0644 a  b /c/
            WORKDIR /w
            WORKDIR /
            CMD ["a b"]
            EXPOSE 80
            LABEL l=m
            """, images: [base])
        let expected: [(String, Bool)] = [
            ("base layer", false), ("ARG v=1", true), ("ENV a=1 b=x y", true), ("RUN |1 v=1 /bin/sh -c make   it", false),
            ("COPY --chown=u:g --chmod=644 a b /c/", false), ("WORKDIR /w", false), ("WORKDIR /", true), ("CMD [\"a b\"]", true),
            ("EXPOSE 80", true), ("LABEL l=m", true),
        ]
        #expect(stage.history.map(\.createdBy) == expected.map(\.0))
        #expect(stage.history.map(\.emptyLayer) == expected.map(\.1))
        #expect(stage.history.dropFirst().count { !$0.emptyLayer } == stage.steps.count)
    }
}
