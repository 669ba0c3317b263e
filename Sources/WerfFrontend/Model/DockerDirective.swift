import BuildPlan

/// `docker`: changes of the image's configuration, as instructions of a Dockerfile name them.
struct DockerDirective: Hashable, Sendable {
    /// A command as CMD and ENTRYPOINT have it.
    enum Command: Hashable, Sendable {
        case shell(String)
        case exec([String])
    }
    struct Variable: Hashable, Sendable {
        var name: String
        var value: String
    }

    var volumes: [String]
    var ports: [String]
    var environment: [Variable]
    var labels: [Variable]
    var command: Command?
    var entrypoint: Command?
    var workingDirectory: String?
    var user: String?
    var healthcheck: Healthcheck?
    var line: Int
}

/// `imageSpec`, with what `build.imageSpec` adds to it.
struct ImageSpecDirective: Hashable, Sendable {
    var author: String?
    var clearsHistory = false
    var command: [String]?
    var entrypoint: [String]?
    var environment: [DockerDirective.Variable] = []
    var ports: [String]?
    var labels: [DockerDirective.Variable] = []
    var volumes: [String] = []
    var healthcheck: Healthcheck?
    var stopSignal: String?
    var user: String?
    var workingDirectory: String?
    var removedVariables: [String] = []
    var removedLabels: [String] = []
    var removedVolumes: [String] = []
    var clearsCommand = false
    var clearsEntrypoint = false
    var clearsUser = false
    var clearsWorkingDirectory = false
    var line: Int
}
