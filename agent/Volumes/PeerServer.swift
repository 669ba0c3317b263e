import Transport

/// The routes that an agent serves to other agents: layers and volumes, each under a grant of the coordinator.
public final class PeerServer: Sendable {
    public init(store: VolumeStore, layers: any LayerSource) { fatalError("not built yet") }

    /// The coordinator's Ed25519 key (32 bytes) of `AgentCommand.welcome`; until it is known, every request is refused.
    public func trust(grantKey: [UInt8]) { fatalError("not built yet") }

    /// Answers one request; the handler of the agent's ``HTTPServer``, which requires certificates.
    public func respond(to request: ServerRequest) async -> ServerResponse { fatalError("not built yet") }
}
