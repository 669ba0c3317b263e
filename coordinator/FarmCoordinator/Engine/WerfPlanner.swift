import BuildPlan
import FarmAPI
import WerfFrontend

/// Plans by the werf.yaml frontend.
public struct WerfPlanner: Frontend {
    /// It has no state.
    public init() {}

    /// The names in the order of building, each once.
    public func baseImages(of request: SubmitRequest, platform: Platform) throws -> [String] {
        try telling(request) { config, werf throws(WerfError) in
            try config.baseImages(options: options(of: request, werf, platform), files: werf.files)
        }
    }

    /// Every stage that the images need.
    public func plan(of request: SubmitRequest, platform: Platform, images: [String: BaseImage]) throws -> Plan {
        try telling(request) { config, werf throws(WerfError) in
            try config.makePlan(options: options(of: request, werf, platform), images: images, files: werf.files)
        }
    }

    private func options(of request: SubmitRequest, _ werf: WerfRequest, _ platform: Platform) -> WerfOptions {
        WerfOptions(images: werf.images, platform: platform, network: request.options.network, labels: request.options.labels)
    }

    private func telling<T>(
        _ request: SubmitRequest, _ body: (WerfConfig, WerfRequest) throws(WerfError) -> T
    ) throws -> T {
        guard let werf = request.werf else { throw PlanningError(BuildFailure(message: "the request has no werf.yaml")) }
        do throws(WerfError) {
            return try body(try WerfConfig(parsing: werf.config, name: werf.name), werf)
        } catch {
            throw PlanningError(BuildFailure(message: error.description, lines: error.line.map { $0...$0 }))
        }
    }
}
