import BuildPlan
import FarmAPI
import Transport

/// What clients ask about the farm itself: contexts, agents, volumes, images.
struct FarmRoutes: Sendable {
    let engine: Coordinator
    let contexts: ContextStore
    let images: ImageLibrary

    var all: [Route] {
        [
            Route("POST", "/api/v1/trees", .client) { request in
                try await contexts.receiveTrees(request.request.body)
                return .noContent
            },
            Route("POST", "/api/v1/trees/missing", .client) { request in
                let wanted = try await DigestList.read(request.request.body)
                return .octets(DigestList.bytes(of: try await contexts.missingTrees(wanted)))
            },
            Route("GET", "/api/v1/agents", .client) { _ in .json(await engine.agents()) },
            Route("POST", "/api/v1/agents/{name}/drain", .client) { request in
                try await engine.drain(request.parameter("name"))
                return .noContent
            },
            Route("POST", "/api/v1/agents/{name}/resume", .client) { request in
                try await engine.resume(request.parameter("name"))
                return .noContent
            },
            Route("GET", "/api/v1/volumes", .client) { _ in .json(await engine.volumes()) },
            Route("DELETE", "/api/v1/volumes", .client) { request in
                try await engine.removeVolume(project: try request.requiredQuery("project"), id: try request.requiredQuery("id"))
                return .noContent
            },
            Route("POST", "/api/v1/volumes/verify", .client) { request in
                let found = try await engine.verify(project: request.query("project"), id: request.query("id"))
                return JSONLineStream.response { writer in for await row in found { try await writer.write(row) } }
            },
            Route("GET", "/api/v1/images", .client) { _ in .json(try await images.list()) },
            Route("PUT", "/api/v1/images", .client) { request in
                let name = try ImageName(request.requiredQuery("name"))
                let platform = try request.query("platform").map { text in
                    guard let platform = Platform(text) else {
                        throw RouteError.badRequest("platform=\(text): expected linux/ARCHITECTURE")
                    }
                    return platform
                }
                let image = try await images.receive(name, archive: request.request.body, platform: platform)
                try await engine.imagesChanged()
                return .json(image, status: 201)
            },
            Route("DELETE", "/api/v1/images", .client) { request in
                try await images.remove(try ImageName(request.requiredQuery("name")))
                try await engine.imagesChanged()
                return .noContent
            },
        ]
    }
}
