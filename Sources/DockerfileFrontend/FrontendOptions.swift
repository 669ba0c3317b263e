import BuildPlan

/// What a build asks of a Dockerfile.
public struct FrontendOptions: Hashable, Sendable {
    /// A stage's name or number; nil for the last.
    public var target: String?
    /// `--build-arg`.
    public var buildArguments: [String: String]
    /// Of the image, and of the machines that build it.
    public var platform: Platform
    /// Of RUN steps that don't choose for themselves.
    public var network: NetworkMode
    /// `--label`: set over those of the file.
    public var labels: [String: String]

    /// Options; only the platform has no default.
    public init(
        target: String? = nil, buildArguments: [String: String] = [:], platform: Platform, network: NetworkMode = .host,
        labels: [String: String] = [:]
    ) {
        self.target = target
        self.buildArguments = buildArguments
        self.platform = platform
        self.network = network
        self.labels = labels
    }
}

extension FrontendOptions {
    /// Build arguments that RUN sees without an ARG, and that don't count as a part of what a step is made of.
    static let proxyNames = ["HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY"].flatMap { [$0, $0.lowercased()] }

    /// The variables that an ARG without a value may name, and FROM may use.
    func predefined(stage: String?) -> [String: String] {
        var values: [String: String] = ["TARGETSTAGE": stage ?? "default"]
        for side in ["TARGET", "BUILD"] {
            values[side + "PLATFORM"] = platform.description
            values[side + "OS"] = platform.os
            values[side + "ARCH"] = platform.architecture
            values[side + "VARIANT"] = platform.variant ?? ""
        }
        return values.merging(buildArguments.filter { values[$0.key] != nil }) { $1 }
    }
}
