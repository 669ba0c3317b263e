import Glibc

/// What goes wrong in a round.
enum Fault: String, CaseIterable, Sendable {
    /// SIGKILL, and a start after a while.
    case agentKilled, coordinatorKilled, bothKilled
    /// SIGSTOP, and SIGCONT after a while: shorter than the lease in some rounds, longer in others.
    case agentHalted, coordinatorHalted
    /// SIGSTOP; it does not go on before the build has ended.
    case agentHung
    /// Connections to the coordinator.
    case agentCut, agentSilent, agentHalfOpen, agentSlow
    /// Connections to another agent.
    case peersCut, peersDamaged, peersSilent
    /// Connections of the user.
    case userCut, userSilent
    case agentDiskFull, coordinatorDiskFull
    /// A cable that is pulled, of an agent or of the coordinator: packets are lost, and nobody is told.
    case agentUnplugged, coordinatorUnplugged

    /// What farms of either kind can suffer.
    static let ofCables: [Fault] = [.agentUnplugged, .coordinatorUnplugged]
    static let ofProxies = allCases.filter { !ofCables.contains($0) }

    /// How long it takes, in milliseconds.
    var duration: ClosedRange<Int> {
        switch self {
        case .agentKilled, .coordinatorKilled, .bothKilled: 100...1500
        case .agentHalted, .agentSilent, .agentHalfOpen, .agentUnplugged, .coordinatorUnplugged: 300...FaultFarm.lease * 1000 + 2500
        case .coordinatorHalted: 300...6000
        case .peersSilent, .userSilent: 300...4000
        case .agentSlow: 3000...3000
        case .agentDiskFull, .coordinatorDiskFull: 300...3000
        case .agentCut, .peersCut, .peersDamaged, .userCut: 200...200
        case .agentHung: 0...0
        }
    }

    /// Whether an agent may lose what it has just published, or may be away when it is asked for it.
    var takesAgentsAway: Bool {
        switch self {
        case .userCut, .userSilent, .coordinatorDiskFull, .agentSlow: false
        default: true
        }
    }

    /// When it may come: a full disk refuses a new build at once, and a coordinator that a client has never reached is an error at once.
    var earliest: Earliest {
        switch self {
        case .coordinatorDiskFull: .running
        case .coordinatorKilled, .bothKilled, .coordinatorHalted, .userCut, .userSilent, .coordinatorUnplugged: .accepted
        default: .submitted
        }
    }

    enum Earliest: Sendable { case submitted, accepted, running }

    /// It begins.
    func begin(in farm: FaultFarm, _ round: FaultRound, victim: FaultFarm.Agent) async {
        switch self {
        case .agentKilled: await victim.daemon.kill()
        case .coordinatorKilled: await farm.coordinator.kill()
        case .bothKilled:
            await victim.daemon.kill()
            await farm.coordinator.kill()
        case .agentHalted, .agentHung: victim.daemon.halt()
        case .coordinatorHalted: farm.coordinator.halt()
        case .agentCut: victim.coordinator.cut()
        case .agentSilent:
            victim.coordinator.set(.silent)
            victim.peers.set(.silent)
        case .agentHalfOpen: victim.coordinator.set(.halfOpen)
        case .agentSlow: victim.coordinator.set(.slow(150))
        case .peersCut, .peersDamaged:
            for agent in farm.agents { agent.peers.spoil(after: round.bytes, flips: self == .peersDamaged) }
        case .peersSilent: for agent in farm.agents { agent.peers.set(.silent) }
        case .userCut: farm.user.cut()
        case .userSilent: farm.user.set(.silent)
        case .agentDiskFull: victim.disk.fill(leaving: round.bytes)
        case .coordinatorDiskFull: farm.coordinatorDisk.fill(leaving: 0)
        case .agentUnplugged: await farm.network?.unplug([victim.name])
        case .coordinatorUnplugged: await farm.network?.unplug(farm.agents.map(\.name))
        }
    }
}

/// One round: everything about it follows from its seed.
struct FaultRound: Sendable, CustomStringConvertible {
    let seed: UInt64
    let build: FaultBuild
    let fault: Fault
    /// Milliseconds from the submission.
    let moment: Int
    /// Milliseconds that the fault takes.
    let duration: Int
    /// Bytes that another agent's connection still brings, or that a disk still has.
    let bytes: Int
    /// The agent, where it is not the one that runs something.
    let victim: Int
    let prefersBusy: Bool
    /// For what else is to be chosen.
    let random: SeededGenerator

    init(seed: UInt64, agents: Int, faults: [Fault] = Fault.ofProxies) {
        self.seed = seed
        var random = SeededGenerator(seed: seed)
        // In turn, so that a few rounds have them all.
        fault = faults[Int(seed % UInt64(faults.count))]
        build = FaultBuild.allCases.randomElement(using: &random) ?? .chain
        moment = Int.random(in: 0...2500, using: &random)
        duration = Int.random(in: fault.duration, using: &random)
        bytes = Int.random(in: 0...400_000, using: &random)
        victim = Int.random(in: 0..<agents, using: &random)
        prefersBusy = Int.random(in: 0..<4, using: &random) > 0
        self.random = random
    }

    var description: String {
        "seed \(seed): \(build.rawValue), \(fault.rawValue) after \(moment) ms for \(duration) ms, \(bytes) bytes, agent-\(victim + 1)"
            + (prefersBusy ? " or a busy one" : "")
    }
}
