import Digests

/// The name of a stack of layers: OCI's ChainID. The same layers in the same order have the same chain, whoever made them.
public enum Chain {
    /// The chain of no layers (`FROM scratch`).
    public static let empty = Digest.of("")

    /// The chain of layers given lowest first: ChainID(L0) = DiffID(L0), ChainID(L0…Ln) = SHA-256(ChainID(L0…Ln-1) + " " + DiffID(Ln)).
    public static func id(of layers: some Sequence<LayerDescriptor>) -> Digest {
        layers.reduce(empty) { chain, layer in
            chain == empty ? layer.diffID : Digest.of("\(chain) \(layer.diffID)")
        }
    }
}
