import BlockingIO
import FarmAPI
import Layers
import Logging
import NIOCore
import OCI
import Sandbox
import Transport

/// Makes archives of results and sends them to the coordinator, which hands them on.
struct Exporter: Sendable {
    let services: StageServices

    /// Carries an order out; a failure is told to the coordinator.
    func export(_ order: ExportOrder) async {
        do {
            try await send(order)
            services.logger.info("exported", metadata: ["export": "\(order.id)", "type": "\(order.type.rawValue)"])
        } catch {
            services.logger.warning("export failed", metadata: ["export": "\(order.id)", "error": "\(error)"])
            try? await services.api.post("/api/v1/agent/exports/\(percentEncoded(order.id))/failure", APIError(message: "\(error)"))
        }
    }

    private func send(_ order: ExportOrder) async throws {
        let scope = try await StepScope(services: services, purpose: order.id)
        do {
            let body = try await body(of: order, in: scope)
            let response = try await services.api.send(
                "POST", "/api/v1/agent/exports/\(percentEncoded(order.id))", headers: [HeaderField("content-type", "application/x-tar")],
                body: body, deadline: nil)
            _ = try await response.body.collect(upTo: APIClient.answerLimit)
        } catch {
            await scope.close()
            throw error
        }
        await scope.close()
    }

    private func body(of order: ExportOrder, in scope: StepScope) async throws -> OutboundBody {
        if order.type == .tar {
            let root = try await scope.mount(order.layers).path
            return BodyPipe.write { try ImageExport.writeTar(root: root, to: $0) }
        }
        _ = try await scope.pin(order.layers)
        let store = services.layers
        let write = order.type == .oci ? ImageExport.writeOCI : ImageExport.writeDocker
        return BodyPipe.write { sink in
            try write(Array(order.config.utf8), Array(order.manifest.utf8), order.layers, order.tags, sink) { layer, sink in
                try store.write(diffID: layer.diffID, to: sink)
            }
        }
    }
}
