import FarmAPI
import Store

// What happens when nothing happens.
extension Coordinator {
    /// Looks at leases and timeouts once.
    func tick() async {
        loseAgents()
        expireAssignments()
        expireTroubles()
        expireClients()
        watchClock()
        remindOfRetention()
        expireUnschedulable()
        expireVerifications()
        keepQuotas()
        planCopies()
        keepBandwidths()
        // Also for stages that no agent could take, and for agents whose queue was thought to be longer.
        schedule()
        // What it could not store is logged there; the next tick tries again.
        try? await settle()
    }

    private func loseAgents() {
        var lost: [String] = []
        var left = 0
        for (name, entry) in agentEntries where !entry.isLost {
            if isReachable(entry) {
                left += 1
                continue
            }
            agentEntries[name]?.isLost = true
            agentEntries[name]?.session?.commands.finish()
            agentEntries[name]?.session = nil
            profile(name)
            copies.forget(agent: name)
            noteLostExports(of: name)
            logger.warning("an agent is lost", metadata: ["agent": "\(name)"])
            lost.append(name)
        }
        // Where most are lost at once it is the network, or this machine was asleep.
        if lost.count <= max(1, left) {
            for name in lost.sorted() { blame(name, lostWith: running(on: name)) }
        }
        // What only it has is not to be had: builds must know before they assign more.
        if !lost.isEmpty { wakeAll() }
    }

    private func expireAssignments() {
        let now = clock.monotonic()
        var silent: [String: Int] = [:]
        for (id, entry) in assignments.sorted(by: { $0.key < $1.key }) where now - entry.confirmed > settings.lease {
            let agent = entry.stored.agent
            let isLost = agentEntries[agent].map { $0.isLost } ?? true
            // A loss counts once, however many stages there were: when it is noticed, or here, where that will be in a moment.
            if let known = agentEntries[agent], !isLost, !entry.isCancelling {
                if now - known.lastHeard > Self.rivalSilence * settings.heartbeat {
                    silent[agent, default: 0] += 1
                } else {
                    blame(entry, reason: "it did not run a stage that it had been given")
                }
            }
            retry(id, reason: isLost ? "\(agent) is lost" : "\(agent) does not run it any more", avoiding: false)
        }
        guard !silent.isEmpty, silent.count <= max(1, heardOf(since: now - Self.rivalSilence * settings.heartbeat)) else { return }
        for (agent, stages) in silent.sorted(by: { $0.key < $1.key }) { blame(agent, lostWith: stages) }
    }

    private func heardOf(since time: Double) -> Int { agentEntries.values.count { $0.lastHeard >= time } }

    private func expireClients() {
        let now = clock.monotonic()
        // Who follows the build is there, also while a large upload takes its time.
        for run in builds.values where bell.isWaitedFor(run.id) { run.clientSeen = now }
        for run in builds.values where now - run.clientSeen > settings.contentsTimeout {
            let minutes = Int(settings.contentsTimeout / 60)
            if !run.stored.uploaded {
                finish(
                    run, .failed,
                    failure: BuildFailure(
                        message: "the client did not upload the context's directories within \(minutes) min: submit again"))
            } else if case .missing(let missing) = run.contents {
                finish(
                    run, .failed,
                    failure: BuildFailure(
                        message: "the client did not upload \(missing.count) files that steps read within \(minutes) min: submit again"))
            }
        }
    }
}
