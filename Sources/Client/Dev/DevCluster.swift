import BlockingIO
import FarmAPI
import FoundationEssentials
import Glibc
import Transport

/// `farm dev`: a coordinator and agents on one machine, as processes of their own with certificates of their own.
///
/// Everything lies under one folder; started again on it, the cluster has all that it had before. A daemon that dies is started
/// again; SIGINT or SIGTERM ends them all.
public struct DevCluster: Sendable {
    /// How many agents, their folder, and where the coordinator listens.
    public struct Options: Sendable {
        public var agents: Int
        public var data: String
        /// nil: the address of the last time, else the usual port, else a free one.
        public var listen: HostPort?

        public init(agents: Int, data: String, listen: HostPort?) {
            self.agents = agents
            self.data = data
            self.listen = listen
        }
    }

    /// More on one machine is a mistake: each has a runtime and a disk share of its own.
    public static let agentLimit = 64
    /// A daemon has this long to end by itself: an agent ends its steps first.
    static let stopGrace: Duration = .seconds(15)
    /// Agents join in well under a second each; a slow disk at the first start takes longer.
    static let joinLimit: Duration = .seconds(60)
    /// A daemon that dies at once is not started more often than this.
    static let restartPause: Duration = .seconds(1)

    private let options: Options
    private let layout: DevLayout

    public init(_ options: Options) throws(ClientError) {
        guard (1...Self.agentLimit).contains(options.agents) else {
            throw .usage("--agents \(options.agents): from 1 to \(Self.agentLimit)")
        }
        guard geteuid() == 0 else {
            throw .failed("farm dev starts agents, which mount file systems and run containers: run it as root")
        }
        self.options = options
        layout = try DevLayout(data: options.data)
    }

    /// Runs until the task is cancelled, then ends what it started. Throws when the cluster can't be started.
    public func run() async throws {
        let programs = try Programs()
        let lock = try DirectoryLock(layout.data)
        defer { lock.release() }
        let listen = try chooseAddress()
        try await layout.prepare(agents: options.agents, listen: listen, programs: programs)
        try await withThrowingTaskGroup(of: Void.self) { daemons in
            daemons.addTask { try await supervise("coordinator", [programs.coordinator, "--config", layout.coordinatorConfiguration]) }
            for number in 1...options.agents {
                let name = DevLayout.agentName(number)
                daemons.addTask { try await supervise(name, [programs.agent, "--config", layout.agentConfiguration(name)]) }
            }
            daemons.addTask {
                try await waitUntilReady(listen)
                Screen.write("ready: https://\(listen)\n", to: STDOUT_FILENO)
                if let token = layout.pageToken { Screen.write("status page: https://\(listen)/?token=\(token)\n") }
                Screen.write("client configuration: \(layout.clientConfiguration)\n")
                // The daemons run until this task group is cancelled.
                try await Task.sleep(for: .seconds(60 * 60 * 24 * 365 * 10))
            }
            defer { daemons.cancelAll() }
            try await daemons.next()
        }
    }

    /// Starts a daemon again and again until the task is cancelled; then SIGTERM, and SIGKILL for one that does not end.
    private func supervise(_ name: String, _ command: [String]) async throws {
        let log = layout.log(of: name)
        while !Task.isCancelled {
            let started = ContinuousClock.now
            let child = try ChildProcess.start(command, output: .file(log))
            let status = try await withTaskCancellationHandler {
                try await child.wait()
            } onCancel: {
                child.signal(SIGTERM)
                Task.detached {
                    try? await Task.sleep(for: Self.stopGrace)
                    child.killIfRunning()
                }
            }
            if Task.isCancelled { return }
            // Wrong configuration does not get better by trying again.
            let early = ContinuousClock.now - started < .seconds(2)
            if status == 2 || (early && status == 1) {
                throw ClientError.failed("\(name) ended with exit code \(status): \(Self.lastLine(of: log)) (its log: \(log))")
            }
            Screen.write("farm: \(name) ended with exit code \(status); starting it again\n")
            try? await Task.sleep(for: Self.restartPause)
        }
    }

    private func waitUntilReady(_ listen: HostPort) async throws {
        let settings = try ClientSettings.load(path: layout.clientConfiguration, environment: [:])
        let names = Set((1...options.agents).map(DevLayout.agentName))
        let start = ContinuousClock.now
        let connection = Connection(settings)
        defer { connection.closeSoon() }
        while true {
            let agents = (try? await connection.api.get([AgentDescription].self, "/api/v1/agents", deadline: .seconds(5))) ?? []
            let missing = names.subtracting(agents.filter { $0.state != .lost }.map(\.name))
            if missing.isEmpty { return }
            guard ContinuousClock.now - start < Self.joinLimit else {
                let name = missing.sorted()[0]
                throw ClientError.failed(
                    "\(name) did not join: \(Self.lastLine(of: layout.log(of: name))) (its log: \(layout.log(of: name)))")
            }
            try await Task.sleep(for: .milliseconds(50))
        }
    }

    private func chooseAddress() throws -> HostPort {
        if let listen = options.listen {
            return listen.port == 0 ? HostPort(host: listen.host, port: try FreePort.any(host: listen.host)) : listen
        }
        if let last = layout.lastAddress { return last }
        let host = "127.0.0.1"
        let usual = HostPort(host: host, port: ClientSettings.defaultPort)
        return FreePort.isFree(usual) ? usual : HostPort(host: host, port: try FreePort.any(host: host))
    }

    private static func lastLine(of log: String) -> String {
        let text = FileManager.default.contents(atPath: log).map { String(decoding: $0.suffix(4096), as: UTF8.self) } ?? ""
        return text.split(separator: "\n").last.map { Printable.line(String($0)) } ?? "it wrote no log"
    }
}

/// The daemons' programs: beside this one.
struct Programs: Sendable {
    let coordinator: String
    let agent: String

    init() throws(ClientError) {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = readlink("/proc/self/exe", &buffer, buffer.count - 1)
        let own = String(decoding: buffer[..<max(0, count)].map(UInt8.init(bitPattern:)), as: UTF8.self)
        let folder = own.lastIndex(of: "/").map { String(own[..<$0]) } ?? "."
        coordinator = "\(folder)/farm-coordinator"
        agent = "\(folder)/farm-agent"
        for program in [coordinator, agent] where access(program, X_OK) != 0 {
            throw .failed("\(program) is missing: 'swift build' makes all three programs, keep them together")
        }
    }
}

/// Ports that nobody listens on.
enum FreePort {
    static func any(host: String) throws(ClientError) -> Int {
        guard let port = bind(HostPort(host: host, port: 0)) else { throw .failed("--listen \(host): no port can be bound there") }
        return port
    }

    static func isFree(_ address: HostPort) -> Bool { bind(address) != nil }

    private static func bind(_ address: HostPort) -> Int? {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = AI_PASSIVE
        var found: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(address.host, String(address.port), &hints, &found) == 0, let first = found else { return nil }
        defer { freeaddrinfo(found) }
        let descriptor = socket(first.pointee.ai_family, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var yes: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        guard Glibc.bind(descriptor, first.pointee.ai_addr, first.pointee.ai_addrlen) == 0 else { return nil }
        var bound = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let status = withUnsafeMutablePointer(to: &bound) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &length) }
        }
        guard status == 0 else { return nil }
        // The port stands at the same place in sockaddr_in and sockaddr_in6, in network order.
        return withUnsafeBytes(of: bound) { Int($0[2]) << 8 | Int($0[3]) }
    }
}

/// Keeps a second `farm dev` out of the same folder; the kernel frees it with the process.
struct DirectoryLock {
    private let descriptor: Int32

    init(_ folder: String) throws(ClientError) {
        descriptor = open("\(folder)/lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw .failed("\(folder)/lock: \(String(cString: strerror(errno)))") }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            close(descriptor)
            throw .failed("\(folder) is in use by another 'farm dev'")
        }
    }

    func release() { close(descriptor) }
}
