import FarmAPI

// What the coordinator knows of this agent's generations.
extension VolumeService {
    /// Sends a request that says which generation of a volume is here; 0 for none. Where another one is there afterwards, the coordinator is
    /// told that, too: the request may have come after the publication of a generation that was not in place when it was written.
    public func tell(_ key: VolumeKey, _ request: @Sendable (_ generation: Int) async throws -> Void) async throws {
        let told = store.generation(of: key)
        try await request(told)
        await tellAgain(key, unless: told)
    }

    /// All generations here, for ``AgentHello``.
    public func introduce() -> [HeldVolume] {
        let held = store.held()
        introduced = Dictionary(uniqueKeysWithValues: held.map { ($0.key, $0.generation) })
        return held
    }

    /// The coordinator has taken what the hello said for what is here: tells it what came and went since that was written.
    public func welcomed() async {
        let told = introduced
        for key in Set(told.keys).union(store.held().map(\.key)) { await tellAgain(key, unless: told[key] ?? 0) }
    }

    private func tellAgain(_ key: VolumeKey, unless told: Int) async {
        if store.announcements.tellAtEnd(key) { return }
        if store.generation(of: key) != told { await announce(key) }
    }
}

extension HoldingsChange {
    /// - Parameter generation: 0 for none.
    init(of key: VolumeKey, generation: Int) {
        self.init()
        if generation > 0 { volumes = [HeldVolume(key: key, generation: generation)] } else { removedVolumes = [key] }
    }
}
