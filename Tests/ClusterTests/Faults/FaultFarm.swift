import Client
import FarmAPI
import Glibc
import Testing

/// A farm of real daemons in which a test can make everything go wrong: each daemon has a disk of its own in memory, and each way between
/// two of them a ``FaultProxy``.
final class FaultFarm: Sendable {
    /// An agent and what leads to it.
    struct Agent: Sendable {
        var daemon: ControlledDaemon
        /// Where it finds the coordinator.
        var coordinator: FaultProxy
        /// Where other agents find it.
        var peers: FaultProxy
        var disk: FaultDisk
        var name: String { daemon.name }
    }

    /// For commands of users, who go by ``user``.
    let cluster: TestCluster
    let coordinator: ControlledDaemon
    let coordinatorDisk: FaultDisk
    let user: FaultProxy
    let agents: [Agent]
    /// Where the daemons are not on one network.
    let network: FaultNetwork?
    var folder: TemporaryFolder { cluster.folder }
    var logs: String { folder.path("logs") }

    /// Short, so that a round does not wait for long; still several heartbeats on a busy machine.
    static let lease = 4
    /// Megabytes of each disk: some thirty times of what a round writes.
    private static let diskSize = 320

    private static let environment = [
        "FARM_LEASE": "\(lease)", "FARM_SLOTS": "2", "FARM_RESERVED_SPACE": "1M", "FARM_VOLUME_COPIES": "2", "FARM_COPY_SETTLE": "1",
        // What happens here is not the agents' fault.
        "FARM_SET_ASIDE_FAILURES": "0", "FARM_LOG_LEVEL": "debug",
    ]

    private init(
        cluster: TestCluster, coordinator: ControlledDaemon, coordinatorDisk: FaultDisk, user: FaultProxy, agents: [Agent],
        network: FaultNetwork?
    ) {
        self.cluster = cluster
        self.coordinator = coordinator
        self.coordinatorDisk = coordinatorDisk
        self.user = user
        self.agents = agents
        self.network = network
    }

    /// - Parameters:
    ///   - cables: each daemon in a network namespace of its own, with cables between them instead of proxies.
    ///   - changes: settings of all daemons that are otherwise than in rounds of faults.
    static func start(agents count: Int, cables: Bool = false, environment changes: [String: String] = [:]) async throws -> FaultFarm {
        let environment = environment.merging(changes) { $1 }
        let folder = try TemporaryFolder()
        let names = (1...count).map { "agent-\($0)" }
        let network = cables ? try await FaultNetwork.make(agents: names) : nil
        for name in ["logs", "farm", "farm/coordinator"] { mkdir(folder.path(name), 0o755) }
        let port = try FaultProxy.freePort()
        let host = network == nil ? "127.0.0.1" : FaultNetwork.coordinator
        let coordinatorDisk = try FaultDisk(at: folder.path("farm/coordinator"), megabytes: diskSize)
        let program = "\(Command.programs)/farm-coordinator"
        let data = folder.path("farm/coordinator/data")
        try await run([program, "init", "--data", data, "--listen", "\(host):\(port)", "--names", host])
        try await run([program, "enroll", "client", "user", "--data", data, "--out", folder.path("farm/client")])
        let user = try FaultProxy(to: port)
        try folder.write(
            """
            coordinator: \(host):\(network == nil ? user.port : port)
            authority: client/authority.pem
            certificate: client/certificate.pem
            key: client/key.pem
            """, to: "farm/client.yaml")
        let coordinator = ControlledDaemon(
            name: "coordinator", command: (network?.prefix ?? []) + [program, "--data", data, "--listen", "\(host):\(port)"],
            environment: environment,
            log: folder.path("logs/coordinator.log"))
        var agents: [Agent] = []
        for name in names {
            mkdir(folder.path("farm/\(name)"), 0o755)
            let disk = try FaultDisk(at: folder.path("farm/\(name)"), megabytes: diskSize)
            let identity = folder.path("farm/\(name)/identity")
            try await run([
                program, "enroll", "agent", name, "--data", data, "--address", network?.address(of: name) ?? host, "--out", identity,
            ])
            let (listen, way) = (try FaultProxy.freePort(), try FaultProxy(to: port))
            let peers = try FaultProxy(to: listen)
            let own = network?.address(of: name)
            let command =
                (network?.prefix(of: name) ?? []) + [
                    "\(Command.programs)/farm-agent", "--data", folder.path("farm/\(name)/data"), "--coordinator",
                    "\(host):\(network == nil ? way.port : port)", "--listen", "\(own ?? host):\(listen)", "--advertise",
                    own.map { "\($0):\(listen)" } ?? "\(host):\(peers.port)", "--authority", "\(identity)/authority.pem",
                    "--certificate", "\(identity)/certificate.pem", "--key", "\(identity)/key.pem",
                ]
            let daemon = ControlledDaemon(
                name: name, command: command, environment: environment, log: folder.path("logs/\(name).log"))
            agents.append(Agent(daemon: daemon, coordinator: way, peers: peers, disk: disk))
        }
        let farm = FaultFarm(
            cluster: TestCluster(around: folder, prefix: network?.prefix ?? []), coordinator: coordinator,
            coordinatorDisk: coordinatorDisk, user: user, agents: agents, network: network)
        do {
            try coordinator.start()
            for agent in agents { try agent.daemon.start() }
            try await farm.waitUntilReady()
            try await farm.cluster.importBusybox()
        } catch {
            await farm.stop(keepingLogs: true)
            throw error
        }
        return farm
    }

    private static func run(_ command: [String]) async throws {
        let result = try await Command.run(command)
        try #require(result.status == 0, "\(result.testDescription)")
    }

    /// Waits until the coordinator answers and all agents have a session.
    func waitUntilReady() async throws {
        try await eventually("all agents of the farm are there", within: .seconds(60)) {
            let asked = try await cluster.farm("agents", "--json", timeLimit: .seconds(20))
            guard asked.status == 0 else { return false }
            let list = try FarmJSON.decode([AgentDescription].self, from: Array(asked.output.utf8))
            return list.count == agents.count && list.allSatisfy { $0.state == .ready }
        }
    }

    /// Everything works again: what was killed runs, what was halted goes on, ways are clear and disks have room.
    func heal() async throws {
        for disk in [coordinatorDisk] + agents.map(\.disk) { disk.empty() }
        for proxy in [user] + agents.flatMap({ [$0.coordinator, $0.peers] }) { proxy.clear() }
        await network?.plugIn()
        for daemon in [coordinator] + agents.map(\.daemon) {
            daemon.proceed()
            if daemon.process == nil { try daemon.start() }
        }
    }

    /// Ends everything. What remains of it is the folder of logs, if those are wanted.
    ///
    /// - Returns: exit codes of those that did not end in order.
    @discardableResult
    func stop(keepingLogs: Bool) async -> [String: Int32] {
        var wrong: [String: Int32] = [:]
        for daemon in agents.map(\.daemon) + [coordinator] {
            if let status = await daemon.stop(), status != 0 { wrong[daemon.name] = status }
        }
        for proxy in [user] + agents.flatMap({ [$0.coordinator, $0.peers] }) { proxy.close() }
        await network?.remove()
        if keepingLogs { _ = try? await Command.run(["sh", "-c", "cp \(folder.path("farm/coordinator/data"))/farm.sqlite* \(logs)"]) }
        for disk in [coordinatorDisk] + agents.map(\.disk) { disk.remove() }
        if keepingLogs {
            _ = try? await Command.run(["rm", "-rf", "--one-file-system", folder.path("farm"), folder.path("cache")])
        } else {
            folder.remove()
        }
        return wrong
    }
}
