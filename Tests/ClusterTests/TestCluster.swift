import Client
import FarmAPI
import Glibc
import Testing

/// A farm of real daemons in a folder of its own, started by `farm dev` as a user would.
final class TestCluster: Sendable {
    /// The cluster of the running suite.
    @TaskLocal static var current: TestCluster?

    let folder: TemporaryFolder
    private let process: pid_t?
    let prefix: [String]
    private let disks: [String]
    var data: String { folder.path("farm") }
    var configuration: String { folder.path("farm/client.yaml") }

    private init(folder: TemporaryFolder, process: pid_t, disks: [String]) {
        self.folder = folder
        prefix = []
        self.process = process
        self.disks = disks
    }

    /// For commands to a farm in a folder's `farm` that someone else starts and ends.
    ///
    /// - Parameter prefix: what commands are run by, where they must run elsewhere.
    init(around folder: TemporaryFolder, prefix: [String] = []) {
        self.folder = folder
        self.prefix = prefix
        process = nil
        disks = []
    }

    /// Starts it and waits until all agents have joined.
    ///
    /// - Parameters:
    ///   - environment: settings of all daemons. Copies of volumes in the background are off unless it says otherwise: they would bring what
    ///     tests measure before these look. So is setting agents aside: tests that kill them say where stages go.
    ///   - diskSizes: megabytes of a disk of its own for an agent, in memory.
    static func start(agents: Int, environment: [String: String] = [:], diskSizes: [String: Int] = [:]) async throws -> TestCluster {
        let folder = try TemporaryFolder()
        for (agent, megabytes) in diskSizes {
            for path in ["farm", "farm/\(agent)"] { mkdir(folder.path(path), 0o755) }
            guard mount("tmpfs", folder.path("farm/\(agent)"), "tmpfs", 0, "size=\(megabytes)m") == 0 else {
                throw ClientError.failed("no disk for \(agent): \(String(cString: strerror(errno)))")
            }
        }
        let environment = ["FARM_VOLUME_COPIES": "1", "FARM_SET_ASIDE_FAILURES": "0"].merging(environment) { $1 }
        let cluster = TestCluster(
            folder: folder, process: try launch(folder, agents: agents, environment), disks: diskSizes.keys.map { "farm/\($0)" })
        do {
            try await cluster.waitUntilReady()
        } catch {
            await cluster.stop()
            throw error
        }
        return cluster
    }

    private static func launch(_ folder: TemporaryFolder, agents: Int, _ environment: [String: String]) throws -> pid_t {
        try Command.start(
            ["\(Command.programs)/farm", "dev", "--agents", "\(agents)", "--data", folder.path("farm"), "--listen", "127.0.0.1:0"],
            environment: environment, output: folder.path("dev.out"), error: folder.path("dev.err"))
    }

    private func waitUntilReady() async throws {
        try await eventually("the cluster is ready", within: .seconds(60)) {
            guard let process, kill(process, 0) == 0, !(folder.read("dev.err") ?? "").contains("farm: ") else {
                Issue.record("farm dev failed: \(folder.read("dev.err") ?? "")")
                throw CancellationError()
            }
            return (folder.read("dev.out") ?? "").contains("ready: ")
        }
    }

    /// Ends all daemons and removes everything.
    func stop() async {
        guard let process else { return }
        kill(process, SIGTERM)
        _ = await Command.wait(for: process)
        for disk in disks { umount2(folder.path(disk), Int32(MNT_DETACH)) }
        if getenv("FARM_TEST_KEEP") == nil { folder.remove() }
    }

    // MARK: Commands

    /// Runs `farm …` with this cluster's configuration.
    func farm(_ arguments: String..., input: String? = nil, timeLimit: Duration = Command.timeLimit) async throws -> CommandResult {
        try await farm(arguments, input: input, timeLimit: timeLimit)
    }

    func farm(
        _ arguments: [String], environment: [String: String] = [:], input: String? = nil, timeLimit: Duration = Command.timeLimit
    ) async throws -> CommandResult {
        let own = ["FARM_CONFIG": configuration, "XDG_CACHE_HOME": folder.path("cache")]
        return try await Command.run(
            prefix + ["\(Command.programs)/farm"] + arguments, environment: own.merging(environment) { $1 }, input: input,
            timeLimit: timeLimit)
    }

    /// Submits a folder, expects success, and returns the build as `farm show --json` tells it.
    func build(_ context: TemporaryFolder, _ options: String..., project: String) async throws -> BuildDescription {
        let metadata = context.path(".metadata-\(UInt32.random(in: 0 ... .max))")
        defer { unlink(metadata) }
        let result = try await farm(
            ["submit", "--progress", "plain", "--project", project, "--metadata-file", metadata] + options + [context.root])
        try #require(result.status == 0, "\(result.testDescription)")
        let reference = try FarmJSON.decode([String: String].self, from: Array((TemporaryFolder.read(metadata) ?? "").utf8))
        let build = try await show(try #require(reference["farm.build.ref"]))
        #expect(result.line == build.image?.digest.description, "standard output has the digest alone")
        return build
    }

    func show(_ build: String) async throws -> BuildDescription {
        let shown = try await farm("show", build, "--json")
        try #require(shown.status == 0, "\(shown.testDescription)")
        return try FarmJSON.decode(BuildDescription.self, from: Array(shown.output.utf8))
    }

    /// The newest build's id, where there is one.
    func newestBuild() async throws -> String? {
        let list = try await farm("builds", "--json")
        return try FarmJSON.decode([BuildDescription].self, from: Array(list.output.utf8)).first?.id
    }

    func volumes(of project: String) async throws -> [VolumeDescription] {
        let listed = try await farm("volumes", "--json")
        return try FarmJSON.decode([VolumeDescription].self, from: Array(listed.output.utf8)).filter { $0.project == project }
    }

    /// The process id of a daemon of this cluster: `farm-coordinator`, or `farm-agent` with its name.
    func daemon(_ name: String) throws -> pid_t {
        let wanted = "\(data)/\(name).yaml"
        for entry in Self.processes() {
            let command = TemporaryFolder.read("/proc/\(entry)/cmdline")?.split(separator: "\0").map(String.init) ?? []
            if command.contains(wanted), let id = pid_t(entry) { return id }
        }
        throw ClientError.failed("no process of \(name)")
    }

    private static func processes() -> [String] {
        guard let directory = opendir("/proc") else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name.allSatisfy(\.isNumber) { names.append(name) }
        }
        return names
    }

    // MARK: Base images

    /// Imports a root file system of busybox alone as `busybox`.
    func importBusybox() async throws {
        let root = try TemporaryFolder()
        defer { root.remove() }
        let script = """
            set -e
            mkdir -p bin etc tmp root usr/bin var
            cp "$(command -v busybox)" bin/busybox
            for name in $(bin/busybox --list); do [ "$name" = busybox ] || ln -s busybox "bin/$name"; done
            echo 'root:x:0:0:root:/root:/bin/sh' > etc/passwd
            echo 'app:x:1000:1000:app:/home/app:/bin/sh' >> etc/passwd
            printf 'root:x:0:\\napp:x:1000:\\n' > etc/group
            chmod 1777 tmp
            tar -cf busybox.tar bin etc tmp root usr var
            """
        let made = try await Command.run(["sh", "-c", script], in: root.root)
        try #require(made.status == 0, "\(made.testDescription)")
        let imported = try await farm("image", "import", "busybox", root.path("busybox.tar"))
        try #require(imported.status == 0, "\(imported.testDescription)")
    }
}

/// A suite that has a cluster for all its tests.
struct ClusterTrait: SuiteTrait, TestScoping {
    var agents: Int
    var environment: [String: String]
    var diskSizes: [String: Int]

    func provideScope(for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void) async throws {
        let cluster = try await TestCluster.start(agents: agents, environment: environment, diskSizes: diskSizes)
        do {
            try await cluster.importBusybox()
            try await TestCluster.$current.withValue(cluster) { try await function() }
        } catch {
            await cluster.stop()
            throw error
        }
        await cluster.stop()
    }
}

extension Trait where Self == ClusterTrait {
    /// `farm dev` with this many agents, and the base image `busybox`.
    static func cluster(agents: Int, environment: [String: String] = [:], diskSizes: [String: Int] = [:]) -> Self {
        ClusterTrait(agents: agents, environment: environment, diskSizes: diskSizes)
    }
}

/// Waits for a condition; records an issue when it does not come.
func eventually(
    _ what: Comment, within limit: Duration = .seconds(30), sourceLocation: SourceLocation = #_sourceLocation,
    _ condition: () async throws -> Bool
) async throws {
    let start = ContinuousClock.now
    while ContinuousClock.now - start < limit {
        if try await condition() { return }
        try await Task.sleep(for: .milliseconds(50))
    }
    Issue.record("not within \(limit): \(what)", sourceLocation: sourceLocation)
    throw CancellationError()
}
