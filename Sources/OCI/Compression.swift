/// The compressions that layers and archives come in, told by their first bytes.
enum Compression: CaseIterable {
    case gzip, bzip2, xz, zstd

    /// As many bytes as ``detect(_:)`` looks at.
    static let magicLength = 6

    private var magic: [UInt8] {
        switch self {
        case .gzip: [0x1f, 0x8b]
        case .bzip2: [0x42, 0x5a, 0x68]
        case .xz: [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]
        case .zstd: [0x28, 0xb5, 0x2f, 0xfd]
        }
    }

    /// The compression that begins so; nil for none of these.
    static func detect(_ start: some Sequence<UInt8>) -> Compression? { allCases.first { start.starts(with: $0.magic) } }
}
