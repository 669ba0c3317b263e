import ArgumentParser
import BuildPlan
import Client
import FarmAPI
import FoundationEssentials

struct Submit: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Build an image from a Dockerfile, or the images of a werf.yaml.",
        discussion: "Progress goes to standard error; standard output has the image's digest alone, or the archive for '-o -'.")

    @OptionGroup var farm: FarmOptions
    @Argument(help: ArgumentHelp("The folder that the build may read.", valueName: "CONTEXT")) var context = "."
    @Option(name: .shortAndLong, help: ArgumentHelp("The Dockerfile, '-' for standard input; or the werf.yaml.", valueName: "FILE"))
    var file: String?
    @Option(help: ArgumentHelp("Whose volumes the build sees (default: the context folder's name).", valueName: "NAME")) var project:
        String?
    @Option(help: ArgumentHelp("Only agents with that label (repeatable): name=agent-2.", valueName: "LABEL=VALUE")) var require: [String] =
        []
    @Option(help: ArgumentHelp("Rather agents with that label (repeatable): disk=ssd.", valueName: "LABEL=VALUE")) var prefer: [String] = []
    @Option(help: ArgumentHelp("Processors that each stage gets, and no more: 2, 0.5.", valueName: "N")) var cpus: String?
    @Option(help: ArgumentHelp("Memory that each stage gets, and no more: 512m, 4g.", valueName: "SIZE")) var memory: String?
    @Option(
        help: ArgumentHelp(
            "The build's share among your builds: low, normal, high, or -3 to 3, of which each step doubles it.", valueName: "PRIORITY"))
    var priority: String?
    @Flag(help: "Print the build's id and leave; the build goes on.") var detach = false
    @Flag(name: .customLong("no-cache-mounts"), help: "Give steps empty volumes of their own, thrown away afterwards.") var noCacheMounts =
        false
    @Option(
        name: .customLong("build-arg"), help: ArgumentHelp("Set an ARG; NAME alone takes it from the environment.", valueName: "NAME=VALUE")
    )
    var buildArgs: [String] = []
    @Option(name: .customLong("add-host"), help: ArgumentHelp("A line for the steps' /etc/hosts.", valueName: "NAME:ADDRESS")) var addHosts:
        [String] = []
    @Option(help: ArgumentHelp("A label of the image (repeatable).", valueName: "KEY=VALUE")) var label: [String] = []
    @Option(name: .shortAndLong, help: ArgumentHelp("The image's name in archives (repeatable).", valueName: "NAME[:TAG]")) var tag:
        [String] = []
    @Option(help: ArgumentHelp("Build up to this stage.", valueName: "STAGE")) var target: String?
    @Option(help: ArgumentHelp("linux/amd64, linux/arm64, …", valueName: "PLATFORM")) var platform: String?
    @Option(help: ArgumentHelp("The steps' network: default, host or none.", valueName: "MODE")) var network = "default"
    @Option(name: .customLong("shm-size"), help: ArgumentHelp("Size of the steps' /dev/shm.", valueName: "SIZE")) var shmSize: String?
    @Flag(name: .customLong("no-cache"), help: "Run every step anew; the caches of mounts stay.") var noCache = false
    @Option(name: .customLong("no-cache-filter"), help: ArgumentHelp("Run the steps of these stages anew.", valueName: "STAGE"))
    var noCacheFilter: [String] = []
    @Option(
        name: .shortAndLong,
        help: ArgumentHelp(
            "type=oci|docker|tar|local,dest=PATH; a bare path: files; '-': a tar to standard output (repeatable).", valueName: "OUTPUT"))
    var output: [String] = []
    @Flag(help: "Load the image into the local docker or podman.") var load = false
    @Option(help: ArgumentHelp("auto, plain, tty, quiet or rawjson.", valueName: "MODE")) var progress = "auto"
    @Flag(name: .shortAndLong, help: "Print the digest alone.") var quiet = false
    @Option(help: ArgumentHelp("Write the image's id to a file.", valueName: "FILE")) var iidfile: String?
    @Option(name: .customLong("metadata-file"), help: ArgumentHelp("Write the result as JSON to a file.", valueName: "FILE"))
    var metadataFile: String?
    @Option(help: ArgumentHelp("id=NAME[,src=FILE|,env=NAME]: a value for RUN --mount=type=secret (repeatable).", valueName: "SECRET"))
    var secret: [String] = []
    @Option(help: ArgumentHelp("An image of the werf.yaml (repeatable; default: all that are final).", valueName: "NAME"))
    var image: [String] = []
    @Flag(help: "Build a werf.yaml from the work tree as it is, without giterminism.") var loose = false
    @Option(name: .customLong("env"), help: ArgumentHelp("The werf.yaml's .Env (else $WERF_ENV).", valueName: "NAME"))
    var environmentName: String?
    @Option(help: ArgumentHelp("build, or render: print the werf.yaml as its template gives it.", valueName: "METHOD")) var call = "build"
    @OptionGroup(visibility: .hidden) var later: NotBuiltYet

    func run() async throws {
        try later.refuse()
        let environment = ProcessInfo.processInfo.environment
        let options = try options(environment)
        switch call {
        case "build": break
        case "render":
            try await Interrupts.cancelling { try await RenderCommand(options: options, environment: environment).run() }
            return
        default: throw ClientError.usage("--call \(call): there are build and render; the others are not built yet")
        }
        let command = SubmitCommand(settings: try farm.settings(), options: options, environment: environment)
        try await Interrupts.cancelling { try await command.run() }
    }

    private func options(_ environment: [String: String]) throws -> SubmitOptions {
        var options = SubmitOptions()
        options.context = context
        options.file = file
        options.project = project
        options.detach = detach
        options.quiet = quiet
        options.secrets = try secret.map { try SecretOption(parsing: $0) }
        options.images = image
        options.loose = loose
        options.environmentName = environmentName
        options.iidFile = iidfile
        options.metadataFile = metadataFile
        guard let mode = ProgressMode(rawValue: progress) else {
            throw ClientError.usage("--progress \(progress): expected \(ProgressMode.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        options.progress = mode
        options.outputs = try output.map { try OutputSpec(parsing: $0) }
        if load { options.outputs.append(OutputSpec(form: .load, destination: .standardOutput)) }
        if detach, !options.outputs.isEmpty {
            throw ClientError.usage("--detach leaves before there is a result: -o and --load can't go with it")
        }
        options.build.target = target
        options.build.tags = tag
        options.build.noCache = noCache
        options.build.noCacheFilter = noCacheFilter.flatMap { $0.split(separator: ",").map(String.init) }
        options.build.noCacheMounts = noCacheMounts
        options.build.network = try networkMode()
        options.build.platform = try platform.map { try SubmitOptions.platform($0) }
        options.build.shmSize = try shmSize.map { try SubmitOptions.byteCount($0, option: "--shm-size") }
        options.build.extraHosts = try addHosts.map { try SubmitOptions.extraHost($0) }
        options.build.buildArguments = try pairs(buildArgs, "--build-arg", environment)
        options.build.labels = try pairs(label, "--label", nil)
        options.build.require = try SubmitOptions.labels(require, option: "--require")
        options.build.prefer = prefer.isEmpty ? nil : try SubmitOptions.labels(prefer, option: "--prefer")
        options.build.cpus = try cpus.map { try SubmitOptions.cpus($0) }
        options.build.memory = try memory.map { try SubmitOptions.memory($0) }
        options.build.priority = try priority.map { try SubmitOptions.priority($0) }
        return options
    }

    private func pairs(_ texts: [String], _ option: String, _ environment: [String: String]?) throws -> [String: String] {
        var values: [String: String] = [:]
        for text in texts {
            if let (name, value) = try SubmitOptions.keyValue(text, option: option, environment: environment) { values[name] = value }
        }
        return values
    }

    private func networkMode() throws -> NetworkMode {
        switch network {
        case "default", "host": .host
        case "none": .none
        default: throw ClientError.usage("--network \(network): expected default, host or none")
        }
    }
}

/// Options of `docker buildx build` that Farm does not have yet: refused by name, never ignored.
struct NotBuiltYet: ParsableArguments {
    @Option(name: .customLong("build-context")) var buildContext: [String] = []
    @Option(name: .customLong("cache-from")) var cacheFrom: [String] = []
    @Option(name: .customLong("cache-to")) var cacheTo: [String] = []
    @Option var ssh: [String] = []
    @Option var ulimit: [String] = []
    @Option var annotation: [String] = []
    @Flag var push = false
    @Flag var pull = false

    func refuse() throws {
        let given: [(String, Bool)] = [
            ("--build-context", !buildContext.isEmpty), ("--cache-from", !cacheFrom.isEmpty), ("--cache-to", !cacheTo.isEmpty),
            ("--ssh", !ssh.isEmpty), ("--ulimit", !ulimit.isEmpty), ("--annotation", !annotation.isEmpty),
            ("--push", push), ("--pull", pull),
        ]
        let names = given.filter(\.1).map(\.0)
        if !names.isEmpty { throw ClientError.usage("\(names.joined(separator: ", ")): not built yet") }
    }
}
