import BuildPlan
import FarmAPI

/// Plans by what the request has: a werf.yaml, else a Dockerfile.
public struct RequestPlanner: Frontend {
    private let werf = WerfPlanner()
    private let dockerfile = DockerfilePlanner()

    /// It has no state.
    public init() {}

    /// The names of all images that the plan may stand on or read.
    public func baseImages(of request: SubmitRequest, platform: Platform) throws -> [String] {
        try frontend(of: request).baseImages(of: request, platform: platform)
    }

    /// The plan of the frontend that reads the request's file.
    public func plan(of request: SubmitRequest, platform: Platform, images: [String: BaseImage]) throws -> Plan {
        try frontend(of: request).plan(of: request, platform: platform, images: images)
    }

    private func frontend(of request: SubmitRequest) -> any Frontend { request.werf == nil ? dockerfile : werf }
}
