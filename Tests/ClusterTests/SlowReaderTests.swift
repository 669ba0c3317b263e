import FarmAPI
import Glibc
import Testing

/// Clients that follow a build and do not read: what they leave must lie in the store, not in the coordinator's memory.
@Suite(.enabled(if: geteuid() == 0, "needs root"), .cluster(agents: 1), .serialized, .timeLimit(.minutes(5)))
struct SlowReaderTests {
    private static let readers = 6
    private static let megabytes = 24
    private static let line = "a line of sixty-four bytes that a compiler could have printed.."
    /// Of a megabyte.
    private static let lines = (1 << 20) / (line.utf8.count + 1)
    /// What a log of this size may add to the coordinator's memory: two thirds of what the readers leave unread, in programs that are not optimized.
    private static let growthLimit = 96 << 20

    let cluster: TestCluster
    let context: TemporaryFolder

    init() throws {
        cluster = try #require(TestCluster.current)
        context = try TemporaryFolder()
    }

    @Test func `readers who stop reading cost the coordinator no memory, delay nobody, and get everything later`() async throws {
        defer { context.remove() }
        try context.write(
            """
            FROM busybox
            RUN echo begin; for i in $(seq \(Self.megabytes)); do yes '\(Self.line)' | head -n \(Self.lines); sleep 0.2; done; echo finis
            """, to: "Dockerfile")
        let coordinator = try cluster.daemon("coordinator")
        let before = Self.peak(of: coordinator)
        let (cluster, root) = (cluster, context.root)
        let submitted = Task { try await cluster.farm("submit", "--progress", "plain", "--project", "slow", root) }
        var build = ""
        try await eventually("the step prints") {
            build = try await cluster.newestBuild() ?? ""
            guard !build.isEmpty else { return false }
            return try await cluster.farm("logs", build).output.contains("begin")
        }
        var stopped: [pid_t] = []
        defer { for process in stopped { kill(process, SIGKILL) } }
        for number in 0..<Self.readers {
            stopped.append(
                try Command.start(
                    ["\(Command.programs)/farm", "--config", cluster.configuration, "logs", "-f", build],
                    output: cluster.folder.path("reader-\(number).out"), error: cluster.folder.path("reader-\(number).err")))
        }
        for (number, process) in stopped.enumerated() {
            try await eventually("reader \(number) reads") { Self.size(of: cluster.folder.path("reader-\(number).out")) > 0 }
            kill(process, SIGSTOP)
        }
        // The build and who submitted it are not held up.
        let submission = try await submitted.value
        #expect(submission.status == 0, "\(submission.error.suffix(2000))")
        let read = try await cluster.farm("logs", build)
        #expect(read.status == 0 && read.output.utf8.count > Self.megabytes * Self.lines * Self.line.utf8.count)
        let growth = Self.peak(of: coordinator) - before
        #expect(growth < Self.growthLimit, "the coordinator grew by \(growth >> 20) MB")

        for process in stopped { kill(process, SIGCONT) }
        for (number, process) in stopped.enumerated() {
            #expect(await Command.wait(for: process) == 0)
            let counted = try await Command.run(["grep", "-c", Self.line + "$", cluster.folder.path("reader-\(number).out")])
            #expect(counted.line == "\(Self.megabytes * Self.lines)", "reader \(number)")
        }
        stopped = []
    }

    /// VmHWM, in bytes.
    private static func peak(of process: pid_t) -> Int {
        let line = TemporaryFolder.read("/proc/\(process)/status")?.split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
        return (line?.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0) << 10
    }

    private static func size(of path: String) -> Int {
        var information = stat()
        return stat(path, &information) == 0 ? Int(information.st_size) : 0
    }
}
