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
            [AgentDescription.State.ready, .draining, .lost].map { state in
                ([("state", state.rawValue)], Double(agents.count { $0.state == state }))
            })
        text.add(
            "farm_agent_slots", .gauge, help: "Stages that an agent runs at the same time.",
            agents.map { ([("agent", $0.name)], Double($0.slots)) })
        text.add(
            "farm_agent_running_stages", .gauge, help: "Stages that an agent runs now.",
            agents.map { ([("agent", $0.name)], Double($0.running)) })
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
