import BlockingIO
import Digests

/// The layers of this agent's disk, as its peer server hands them to other agents.
public protocol LayerSource: Sendable {
    /// Whether it is here.
    func contains(_ diffID: Digest) -> Bool
    /// Writes the layer's canonical uncompressed tar. Blocks.
    func write(diffID: Digest, to sink: any ByteSink) throws
}
