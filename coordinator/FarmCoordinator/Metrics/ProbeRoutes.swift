import BlockingIO
import BuildPlan
import FarmAPI
import NIOCore
import Store
import Transport

/// `/healthz`, `/readyz` and `/metrics`: what machines ask about the coordinator.
struct ProbeRoutes: Sendable {
    let engine: Coordinator
    let store: Store
    let started: Timestamp

    var all: [Route] {
        [
            Route("GET", "/healthz", .anyone) { _ in .text("ok\n") },
            Route("GET", "/readyz", .anyone) { _ in
                if let trouble = store.trouble { throw RouteError.unavailable(trouble) }
                return .text("ready\n")
            },
            Route("GET", "/metrics", .member) { _ in
                ServerResponse(
                    status: 200, headers: [HeaderField("content-type", PrometheusText.contentType)],
                    body: .bytes(ByteBuffer(string: try await metrics().text)))
            },
        ]
    }

    private func metrics() async throws -> PrometheusText {
        let agents = await engine.agents()
        let totals = try await store.totals()
        let volumes = await engine.volumes()
        let use = try await BlockingPool.shared.run { ProcessUse.now() }
        var text = PrometheusText()
        text.add(
            "farm_builds", .gauge, help: "Builds that are kept, by status.",
            Status.allCases.map { ([("status", $0.rawValue)], Double(totals.builds[$0] ?? 0)) })
        text.add(
            "farm_queued_stages", .gauge, help: "Stages that wait for an agent or for others.", Double(totals.openStages[.queued] ?? 0))
        text.add("farm_running_stages", .gauge, help: "Stages that run now.", Double(totals.openStages[.running] ?? 0))
        text.add(
            "farm_received_bytes", .gauge, help: "Bytes that the steps of these builds received over the network.",
            [("layers", totals.layerBytes), ("context", totals.contextBytes), ("volumes", totals.volumeBytes)].map {
                ([("kind", $0.0)], $0.1)
            })
        text.add(
            "farm_agents", .gauge, help: "Agents by state.",
            AgentDescription.State.allCases.map { state in
                ([("state", state.rawValue)], Double(agents.count { $0.state == state }))
            })
        text.add(
            "farm_agent_slots", .gauge, help: "Stages that an agent runs at the same time.",
            agents.map { ([("agent", $0.name)], Double($0.slots)) })
        text.add(
            "farm_agent_running_stages", .gauge, help: "Stages that an agent runs now.",
            agents.map { ([("agent", $0.name)], Double($0.running)) })
        text.add(
            "farm_agent_free_bytes", .gauge, help: "Bytes that are left on an agent's disk.",
            agents.compactMap { agent in agent.freeBytes.map { ([("agent", agent.name)], Double($0)) } })
        text.add(
            "farm_agent_only_copies", .gauge, help: "Volumes whose newest generation only this agent has.",
            agents.map { ([("agent", $0.name)], Double($0.onlyHere)) })
        text.add(
            "farm_bandwidth_bytes_per_second", .gauge, help: "What agents receive a second, as measured; from \"\" for the coordinator.",
            agents.flatMap { agent in
                (agent.receives ?? []).map { ([("from", $0.from ?? ""), ("to", agent.name)], $0.bytesPerSecond) }
            })
        let care = await engine.careTotals
        text.add(
            "farm_volumes_by_copies", .gauge, help: "Volumes by how many agents that are there have the newest generation.",
            [("0", 0...0), ("1", 1...1), ("more", 2...Int.max)].map { name, range in
                ([("copies", name)], Double(volumes.count { range.contains($0.copies) }))
            })
        text.add(
            "farm_volume_copies_total", .counter, help: "Copies of volumes in the background, since the start.",
            [("done", care.copies), ("failed", care.failedCopies)].map { ([("result", $0.0)], Double($0.1)) })
        text.add("farm_volume_copied_bytes_total", .counter, help: "Bytes of these copies on the network.", Double(care.copiedBytes))
        text.add(
            "farm_volumes_removed_total", .counter, help: "Volumes removed for a quota, and copies removed for room, since the start.",
            [("quota", care.removedForQuota), ("room", care.removedForRoom)].map { ([("reason", $0.0)], Double($0.1)) })
        text.add("farm_volumes", .gauge, help: "Volumes.", Double(volumes.count))
        text.add("farm_volume_bytes", .gauge, help: "Bytes of all volumes, each once.", volumes.reduce(0.0) { $0 + Double($1.bytes) })
        text.add("process_resident_memory_bytes", .gauge, help: "Resident memory.", Double(use.residentBytes))
        text.add("process_cpu_seconds_total", .counter, help: "CPU time, user and system.", use.cpuSeconds)
        text.add("process_open_fds", .gauge, help: "Open file descriptors.", Double(use.openFiles))
        text.add("process_start_time_seconds", .gauge, help: "When the process started.", Double(started.nanoseconds / 1_000_000_000))
        return text
    }
}

extension ServerResponse {
    /// Plain text.
    static func text(_ text: String) -> ServerResponse {
        ServerResponse(
            status: 200, headers: [HeaderField("content-type", "text/plain; charset=utf-8")], body: .bytes(ByteBuffer(string: text)))
    }
}
