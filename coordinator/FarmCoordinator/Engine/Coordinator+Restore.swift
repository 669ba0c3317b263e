import BuildPlan
import FarmAPI
import Store

extension Coordinator {
    /// Puts the stored state into memory. Agents count as heard of now: they have one lease to come back.
    func restore(_ state: StoredState) {
        let now = clock.monotonic()
        if let away = clockWatch.start(wall: clock.now(), monotonic: now, remembered: state.clock) { warnOfClock(away) }
        for agent in state.agents {
            var entry = AgentEntry(stored: agent, session: nil, lastHeard: now)
            for layer in state.layers[agent.name] ?? [] {
                entry.layers.insert(layer.diffID)
                layerHolders[layer.diffID, default: []].insert(agent.name)
            }
            for held in state.heldVolumes[agent.name] ?? [] { entry.volumes[held.key] = held.generation }
            agentEntries[agent.name] = entry
            restoreTroubles(of: agent)
            profile(agent.name)
            for layer in entry.layers { scheduler.hold(layer, agent: agent.name) }
            for (key, generation) in entry.volumes {
                volumeHolders[key, default: []].insert(agent.name)
                scheduler.hold(volume: Grant.object(of: key), generation: generation, agent: agent.name)
            }
        }
        restore(state.bandwidths)
        ledger = VolumeLedger(volumes: state.volumes, floor: state.generationFloor)
        quotaSuspects = Set(ledger.current.map(\.key.project))
        for duration in state.durations { durations[DurationKey(project: duration.project, stage: duration.stage)] = duration }
        for assignment in state.assignments {
            assignments[assignment.id] = AssignmentEntry(stored: assignment, confirmed: now, startedAt: now, sent: true)
        }
        locks = VolumeLocks(
            granted: state.locks.map {
                VolumeLocks.Request(lock: $0.lock, assignment: $0.assignment, agent: $0.agent, needs: $0.needs, forks: $0.forks)
            })
        for open in state.builds {
            let run = BuildRun(open.build, sequence: open.lastEvent, clientSeen: now)
            run.makeStages(from: (open.stages, open.steps))
            adopt(run)
        }
        unclaimed = Set(assignments.keys)
        for (id, assignment) in assignments {
            if let run = builds[assignment.stored.build], run.stages.indices.contains(assignment.stored.stage) {
                run.stages[assignment.stored.stage].state = .assigned(id)
            } else {
                assignments[id]?.isCancelling = true
            }
            adopt(assignment, since: now)
        }
    }

    /// Takes an open build into memory and starts its task.
    func adopt(_ run: BuildRun) {
        builds[run.id] = run
        submissions[Self.submission(run.stored.request.requestID, user: run.stored.user)] = run.id
        if let root = run.stored.request.contextRoot {
            // Until it is known what its steps read: they may read all of it, and it may be here.
            contexts.hold([TreeSelection(source: .context, path: "", wildcards: false)], root: root, for: run.id)
        }
        bell.open(run.id, last: run.sequence)
        tails.open(run.id, last: run.sequence)
        needsBell.open(run.id, last: 0)
        run.wake()
        enqueue(.drive(build: run.id))
    }

    static func submission(_ requestID: String, user: String) -> String { "\(user)\n\(requestID)" }
}
