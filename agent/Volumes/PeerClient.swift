import BlockingIO
import Digests
import FarmAPI
import Transport

/// Connections to the other agents, one for each address.
public actor PeerClient {
    public init(identity: TLSIdentity) { fatalError("not built yet") }

    /// Starts fetching a layer; the pipe gives its uncompressed tar, not yet verified, and throws where the transfer breaks.
    public func fetchLayer(from holder: Holder, diffID: Digest) async throws -> BytePipe { fatalError("not built yet") }

    /// Closes all connections.
    public func close() async { fatalError("not built yet") }
}
