import BuildPlan
import DockerfileFrontend
import FarmAPI

/// Plans by the Dockerfile frontend.
public struct DockerfilePlanner: Frontend {
    /// It has no state.
    public init() {}

    /// The names in the order of the file, each once.
    public func baseImages(of request: SubmitRequest, platform: Platform) throws -> [String] {
        try telling { () throws(DockerfileError) in
            try Dockerfile(parsing: request.dockerfile, name: request.dockerfileName)
                .baseImages(options: FrontendOptions(request.options, platform: platform))
        }
    }

    /// Every variable expanded, every stage that the target needs.
    public func plan(of request: SubmitRequest, platform: Platform, images: [String: BaseImage]) throws -> Plan {
        try telling { () throws(DockerfileError) in
            try Dockerfile(parsing: request.dockerfile, name: request.dockerfileName)
                .makePlan(options: FrontendOptions(request.options, platform: platform), images: images)
        }
    }

    private func telling<T>(_ body: () throws(DockerfileError) -> T) throws -> T {
        do throws(DockerfileError) {
            return try body()
        } catch {
            throw PlanningError(BuildFailure(message: error.description, lines: error.lines))
        }
    }
}

extension FrontendOptions {
    fileprivate init(_ options: BuildOptions, platform: Platform) {
        self.init(
            target: options.target, buildArguments: options.buildArguments, platform: platform, network: options.network,
            labels: options.labels)
    }
}
