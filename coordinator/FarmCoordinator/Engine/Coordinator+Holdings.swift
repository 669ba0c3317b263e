import BuildPlan
import Digests
import FarmAPI
import Store

// Who has which layers and generations.
extension Coordinator {
    /// True when the layer can be had: the coordinator has it, or an agent that is not lost.
    func isAvailable(_ layer: LayerDescriptor) -> Bool {
        layersAtCoordinator.contains(layer.diffID)
            || (layerHolders[layer.diffID] ?? []).contains { name in agentEntries[name].map { isReachable($0) } ?? false }
    }

    /// The agents that have any generation of a volume.
    func agents(holding key: VolumeKey) -> [AgentEntry] { (volumeHolders[key] ?? []).compactMap { agentEntries[$0] } }

    func hold(_ layer: LayerDescriptor, _ agent: String) {
        guard agentEntries[agent]?.layers.insert(layer.diffID).inserted == true else { return }
        layerHolders[layer.diffID, default: []].insert(agent)
        scheduler.hold(layer.diffID, agent: agent)
        outbox.append(.add(layer, to: agent))
    }

    func drop(layer: Digest, _ agent: String) {
        guard agentEntries[agent]?.layers.remove(layer) != nil else { return }
        layerHolders[layer]?.remove(agent)
        scheduler.drop(layer, agent: agent)
        if layerHolders[layer]?.isEmpty == true { layerHolders[layer] = nil }
        outbox.append(.remove(layer: layer, from: agent))
    }

    /// A generation that is not of the volume's present history is not counted, and its holder is told to drop it.
    func hold(_ held: HeldVolume, _ agent: String) {
        guard agentEntries[agent] != nil else { return }
        adopt(held, of: agent)
        guard ledger.isCurrent(held) else {
            drop(volume: held.key, agent)
            return send(.dropVolume(held.key, upTo: held.generation), to: agent)
        }
        guard agentEntries[agent]?.volumes[held.key] != held.generation else { return }
        agentEntries[agent]?.volumes[held.key] = held.generation
        volumeHolders[held.key, default: []].insert(agent)
        scheduler.hold(volume: Grant.object(of: held.key), generation: held.generation, agent: agent)
        copies.suspect(held.key)
        outbox.append(.put(held, agent: agent))
    }

    private func adopt(_ held: HeldVolume, of agent: String) {
        guard let found = ledger.adopt(held) else { return }
        outbox.append(.put(found.volume))
        quotaSuspects.insert(held.key.project)
        logger.notice(
            "an agent has a newer generation of a volume than the restored database knows: it counts",
            metadata: [
                "agent": "\(agent)", "project": "\(held.key.project)", "volume": "\(held.key.id)", "generation": "\(held.generation)",
            ])
        guard let floor = found.floor else { return }
        outbox.append(.setGenerationFloor(floor))
        logger.warning(
            "the database is older than what agents have: was it brought back without `farm-coordinator restore`? Generations are numbered on from \(floor)"
        )
    }

    func drop(volume: VolumeKey, _ agent: String) {
        guard agentEntries[agent]?.volumes.removeValue(forKey: volume) != nil else { return }
        volumeHolders[volume]?.remove(agent)
        if volumeHolders[volume]?.isEmpty == true { volumeHolders[volume] = nil }
        scheduler.drop(volume: Grant.object(of: volume), agent: agent)
        copies.suspect(volume)
        outbox.append(.remove(volume: volume, from: agent))
    }

    /// What the agent has when it opens a session is the truth.
    func replaceHoldings(of agent: String, layers: [LayerDescriptor], volumes: [HeldVolume]) {
        guard let before = agentEntries[agent] else { return }
        for layer in before.layers.subtracting(layers.map(\.diffID)) { drop(layer: layer, agent) }
        for layer in layers { hold(layer, agent) }
        let kept = Set(volumes.map(\.key))
        for key in before.volumes.keys where !kept.contains(key) { drop(volume: key, agent) }
        for held in volumes { hold(held, agent) }
    }
}
