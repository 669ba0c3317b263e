import BuildPlan

/// What a build asks of a werf.yaml.
public struct WerfOptions: Hashable, Sendable {
    /// `--image`; empty for all final images.
    public var images: [String]
    /// Of the images, and of the machines that build them.
    public var platform: Platform
    /// Of steps that don't choose for themselves.
    public var network: NetworkMode
    /// `--label`: set over those of the file, on every image that is a result.
    public var labels: [String: String]

    /// Options; only the platform has no default.
    public init(images: [String] = [], platform: Platform, network: NetworkMode = .host, labels: [String: String] = [:]) {
        self.images = images
        self.platform = platform
        self.network = network
        self.labels = labels
    }
}
