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
}
