import BuildPlan
import FarmAPI
import Testing

@testable import FarmCoordinator

@Suite struct RequestPlannerTests {
    private let platform = Platform(os: "linux", architecture: "amd64")

    private func request(_ werf: WerfRequest?) -> SubmitRequest {
        var request = SubmitRequest(
            project: "demo", dockerfile: werf == nil ? "FROM debian\nRUN make\n" : "", dockerfileName: "Dockerfile", contextRoot: nil,
            options: BuildOptions(), requestID: "1")
        request.werf = werf
        return request
    }

    private let config = """
        project: demo
        configVersion: 1
        ---
        image: [a, b]
        from: alpine
        shell: {install: make}
        ---
        image: c
        dockerfile: Dockerfile
        context: web
        """

    private func base(_ name: String) -> BaseImage {
        BaseImage(name: name, platform: platform, config: ImageConfig(), history: [], layers: [])
    }

    @Test func `A request with a werf.yaml is planned by it, one without by its Dockerfile`() throws {
        let planner = RequestPlanner()
        var werf = request(
            WerfRequest(config: config, name: "werf.yaml", images: ["c", "a"], files: ["web/Dockerfile": "FROM busybox\nRUN x\n"]))
        werf.options.network = .none
        werf.options.labels = ["l": "1"]
        #expect(try planner.baseImages(of: werf, platform: platform) == ["alpine", "busybox"])
        let plan = try planner.plan(of: werf, platform: platform, images: ["alpine": base("alpine"), "busybox": base("busybox")])
        #expect(plan.images == [PlannedImage(name: "a", stage: 0), PlannedImage(name: "c", stage: 1)])
        for stage in plan.stages {
            guard case .run(let run) = stage.steps[0].operation else { return #expect(Bool(false)) }
            #expect(run.network == NetworkMode.none)
            #expect(stage.config.labels["l"] == "1")
        }
        let dockerfile = request(nil)
        #expect(try planner.baseImages(of: dockerfile, platform: platform) == ["debian"])
        #expect(try planner.plan(of: dockerfile, platform: platform, images: ["debian": base("debian")]).images.isEmpty)
    }

    @Test func `A mistake in a werf.yaml reaches the user with its file and line`() throws {
        let wrong = request(WerfRequest(config: config.replacing("install", with: "instal"), name: "werf.yaml", images: []))
        let error = #expect(throws: PlanningError.self) { try RequestPlanner().baseImages(of: wrong, platform: platform) }
        #expect(error?.failure.message.hasPrefix("werf.yaml:6: shell: unknown directive 'instal'") == true)
        #expect(error?.failure.lines == 6...6)
    }
}
