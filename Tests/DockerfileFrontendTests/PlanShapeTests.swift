import BuildPlan
import Testing

@testable import DockerfileFrontend

let amd64 = Platform(os: "linux", architecture: "amd64")

/// An image with nothing in it but what a test sets.
func baseImage(_ name: String, _ change: (inout ImageConfig) -> Void = { _ in }) -> BaseImage {
    var config = ImageConfig()
    change(&config)
    return BaseImage(name: name, platform: amd64, config: config, history: [], layers: [])
}

/// Plans a file; every image that it needs is there and empty unless given.
func plan(
    _ text: String, _ options: FrontendOptions = FrontendOptions(platform: amd64), images: [BaseImage] = []
) throws -> Plan {
    let file = try Dockerfile(parsing: text, name: "Dockerfile")
    var found = Dictionary(uniqueKeysWithValues: try file.baseImages(options: options).map { ($0, baseImage($0)) })
    for image in images { found[image.name] = image }
    return try file.makePlan(options: options, images: found)
}

/// The stage that becomes the image.
func target(_ text: String, _ options: FrontendOptions = FrontendOptions(platform: amd64), images: [BaseImage] = []) throws -> Stage {
    let plan = try plan(text, options, images: images)
    return plan.stages[plan.target]
}

@Suite struct PlanShapeTests {
    @Test func `A plan holds the stages that the target needs, dependencies first`() throws {
        let plan = try plan(
            """
            FROM debian AS one
            RUN make one
            FROM debian AS unused
            RUN make unused
            FROM alpine AS two
            WORKDIR /w
            RUN --mount=type=cache,target=cache make two
            FROM scratch
            COPY --from=One /a /b/
            COPY --from=2 /c d/
            CMD ["/b/a"]
            """)
        #expect(plan.stages.map(\.name) == ["one", "two", "stage-3"])
        #expect(plan.target == 2)
        #expect(plan.stages[2].base == .scratch)
        #expect(plan.stages[2].dependencies == [0, 1])
        #expect(plan.stages[1].steps.map(\.name) == ["[two 2/3] WORKDIR /w", "[two 3/3] RUN --mount=type=cache,target=cache make two"])
        #expect(plan.stages[2].steps.map(\.lines) == [9...9, 10...10])
        #expect(plan.stages[2].config.cmd == ["/b/a"])
    }

    private func shape(_ text: String, target: String? = nil) throws -> [String] {
        try plan(text, FrontendOptions(target: target, platform: amd64)).stages.map { stage in
            let base =
                switch stage.base {
                case .scratch: "scratch"
                case .image(let name): name
                case .stage(let index): "#\(index)"
                }
            return "\(stage.name)<\(base)\(stage.dependencies.isEmpty ? "" : " \(stage.dependencies)")"
        }
    }

    @Test(
        "Stages are found by name, by number and in the right order",
        arguments: [
            ("FROM a", nil, ["stage-0<a"]), ("FROM a AS x\nFROM x", nil, ["x<a", "stage-1<#0 [0]"]),
            ("FROM a AS x\nFROM b", nil, ["stage-1<b"]),
            ("FROM a AS x\nFROM b", "x", ["x<a"]), ("FROM a AS x\nFROM b", "X", ["x<a"]), ("FROM a AS x\nFROM b", "0", ["x<a"]),
            ("FROM a AS X\nFROM b", "x", ["x<a"]),
            ("FROM a\nFROM b\nCOPY --from=0 x y", nil, ["stage-0<a", "stage-1<b [0]"]),
            ("FROM a AS x\nFROM X AS y\nFROM y", nil, ["x<a", "y<#0 [0]", "stage-2<#1 [1]"]),
            // FROM means the nearest stage of that name above, --from the last of the file.
            ("FROM a AS x\nFROM x AS x\nFROM x", nil, ["x<a", "x<#0 [0]", "stage-2<#1 [1]"]),
            ("FROM a AS x\nFROM b AS x\nFROM c\nCOPY --from=x p q", nil, ["x<b", "stage-2<c [0]"]),
            ("FROM x\nFROM a AS x", "0", ["stage-0<x"]), ("FROM x AS x", nil, ["x<x"]),
            ("FROM debian AS debian\nFROM debian", nil, ["debian<debian", "stage-1<#0 [0]"]),
            ("FROM a AS first\nCOPY --from=second p q\nFROM b AS second", "first", ["second<b", "first<a [0]"]),
            ("FROM 0", nil, ["stage-0<0"]), ("FROM scratch", nil, ["stage-0<scratch"]),
            ("FROM a AS scratch\nFROM scratch", nil, ["scratch<a", "stage-1<#0 [0]"]),
            (
                "FROM a AS x\nFROM b AS y\nFROM c\nRUN --mount=from=y,target=/y --mount=type=cache,from=x,target=/x true", nil,
                ["x<a", "y<b", "stage-2<c [0, 1]"]
            ),
            ("FROM a AS x\nFROM b\nCOPY --from=img p q", nil, ["stage-1<b"]),
            ("ARG b=x\nFROM a AS x\nFROM $b", nil, ["x<a", "stage-1<#0 [0]"]),
            ("FROM --platform=$BUILDPLATFORM a", nil, ["stage-0<a"]), ("FROM --platform=linux/amd64 a", nil, ["stage-0<a"]),
            ("FROM img-${TARGETARCH}", nil, ["stage-0<img-amd64"]),
            ("FROM --platform=linux/x86_64 a", nil, ["stage-0<a"]),
        ] as [(String, String?, [String])])
    func shapes(text: String, target: String?, stages: [String]) throws { #expect(try shape(text, target: target) == stages) }

    @Test(
        "The images that are needed, and no more",
        arguments: [
            ("FROM a", nil, ["a"]), ("FROM scratch", nil, []), ("FROM a AS x\nFROM b", nil, ["b"]),
            ("FROM a AS x\nFROM x\nCOPY --from=c p q", nil, ["a", "c"]),
            ("FROM a AS x\nFROM b\nRUN --mount=from=img:2,target=/i --mount=type=cache,from=a,target=/c y", nil, ["b", "img:2", "a"]),
            ("FROM a AS x\nFROM b", "x", ["a"]),
            ("FROM a\nFROM a\nCOPY --from=0 p q\nCOPY --from=a p q", nil, ["a"]),
            ("ARG r=reg/\nARG t\nFROM ${r}img:${t:-latest}", nil, ["reg/img:latest"]),
        ] as [(String, String?, [String])])
    func images(text: String, target: String?, images: [String]) throws {
        let file = try Dockerfile(parsing: text, name: "Dockerfile")
        #expect(try file.baseImages(options: FrontendOptions(target: target, platform: amd64)) == images)
    }

    @Test("Steps are numbered as progress shows them")
    func names() throws {
        #expect(try target("FROM a\nRUN x\nENV a=b\nCOPY a  b").steps.map(\.name) == ["[2/3] RUN x", "[3/3] COPY a b"])
        #expect(try target("FROM a AS n\nRUN x").steps.map(\.name) == ["[n 2/2] RUN x"])
        #expect(try target("FROM scratch\nCOPY a b").steps.map(\.name) == ["[1/1] COPY a b"])
        #expect(try target("FROM a AS x\nFROM x\nRUN y").steps.map(\.name) == ["[stage-1 1/1] RUN y"])
        let many = try target("FROM a\n" + String(repeating: "RUN x\n", count: 10)).steps.map(\.name)
        #expect(many.first == "[ 2/11] RUN x")
        #expect(many.last == "[11/11] RUN x")
        #expect(try target("FROM a\nRUN <<EOF\n\necho a\necho b\nEOF").steps.map(\.name) == ["[2/2] RUN <<EOF (echo a...)"])
    }

    @Test("A build argument that nothing declares is a warning")
    func unusedArguments() throws {
        let options = FrontendOptions(
            buildArguments: ["used": "1", "global": "2", "other": "3", "HTTP_PROXY": "4", "typo": "5", "TARGETARCH": "x"], platform: amd64)
        let plan = try plan("ARG global\nFROM a\nARG other\nFROM b\nARG used", options)
        #expect(plan.warnings == ["Dockerfile: build argument typo is not used: no ARG declares it"])
    }

    @Test("Deprecated syntax is a warning with its line")
    func deprecated() throws {
        let warnings = try plan("FROM a\nMAINTAINER me\nENV a b").warnings
        #expect(warnings.map { $0.prefix(13) } == ["Dockerfile:2:", "Dockerfile:3:"])
    }

    @Test("Triggers of a base run after FROM and are not handed on")
    func triggers() throws {
        let base = baseImage("base") { $0.onBuild = ["COPY . /app", "run make"] }
        let stage = try target("FROM base\nRUN own", images: [base])
        #expect(stage.steps.map(\.name) == ["[2/4] COPY . /app", "[3/4] RUN make", "[4/4] RUN own"])
        #expect(stage.steps.map(\.lines) == [1...1, 1...1, 2...2])
        #expect(stage.config.onBuild.isEmpty)
        let chain = try plan("FROM scratch AS a\nONBUILD COPY --from=tool x y\nFROM scratch AS tool\nFROM a\nONBUILD RUN z")
        #expect(chain.stages.map(\.name) == ["a", "tool", "stage-2"])
        #expect(chain.stages[2].dependencies == [0, 1])
        #expect(chain.stages[2].config.onBuild == ["RUN z"])
        #expect { try target("FROM base", images: [baseImage("base") { $0.onBuild = ["RUNN x"] }]) } throws: {
            "\($0)".hasPrefix("Dockerfile:1: ONBUILD trigger 'RUNN x' of base: unknown instruction: RUNN")
        }
    }

    @Test("A plan survives its encoding's types: equal plans are equal")
    func deterministic() throws {
        let text = "FROM a AS x\nRUN --mount=type=cache,target=/c y\nFROM x\nCOPY --from=x a b\nLABEL a=b c=d"
        #expect(try plan(text) == plan(text))
    }
}
