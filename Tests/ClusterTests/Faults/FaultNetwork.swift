import Glibc
import Testing

/// Network namespaces: one for the coordinator and its users, with a bridge, and one for each agent, with a cable to it.
struct FaultNetwork: Sendable {
    /// The coordinator's address; agents have the next ones.
    static let coordinator = "10.213.7.1"
    private static let firstHost = 10

    private let hub: String
    private let agents: [String]

    /// Whether namespaces can be made here.
    static var isPossible: Bool { geteuid() == 0 && Command.isThere("ip") && Command.isThere("nsenter") }

    static func make(agents: [String]) async throws -> FaultNetwork {
        let network = FaultNetwork(hub: "farm-test-\(getpid())", agents: agents)
        var script = """
            set -e
            ip netns add \(network.hub)
            ip -n \(network.hub) link set lo up
            ip -n \(network.hub) link add bridge type bridge
            ip -n \(network.hub) addr add \(coordinator)/24 dev bridge
            ip -n \(network.hub) link set bridge up

            """
        for agent in agents {
            let own = network.namespace(of: agent)
            script += """
                ip netns add \(own)
                ip -n \(own) link set lo up
                ip -n \(network.hub) link add \(agent) type veth peer name wire netns \(own)
                ip -n \(network.hub) link set \(agent) master bridge up
                ip -n \(own) addr add \(network.address(of: agent))/24 dev wire
                ip -n \(own) link set wire up

                """
        }
        let made = try await Command.run(["sh", "-c", script])
        if made.status != 0 { await network.remove() }
        try #require(made.status == 0, "\(made.testDescription)")
        return network
    }

    private func namespace(of agent: String) -> String { "\(hub)-\(agent)" }

    func address(of agent: String) -> String { "10.213.7.\(Self.firstHost + (agents.firstIndex(of: agent) ?? 0))" }

    /// What runs a command where the coordinator is. Only the network is entered: cgroups and mounts are the machine's.
    var prefix: [String] { ["nsenter", "--net=/run/netns/\(hub)"] }

    func prefix(of agent: String) -> [String] { ["nsenter", "--net=/run/netns/\(namespace(of: agent))"] }

    func unplug(_ names: [String]) async { for name in names { await set(name, "down") } }

    func plugIn() async { for name in agents { await set(name, "up") } }

    private func set(_ agent: String, _ state: String) async {
        _ = try? await Command.run(["ip", "-n", hub, "link", "set", agent, state])
    }

    func remove() async {
        for name in [hub] + agents.map({ namespace(of: $0) }) { _ = try? await Command.run(["ip", "netns", "delete", name]) }
    }
}
