import FarmAPI

/// What a volume's directory says about itself, in the file `state`; see `docs/formats-volumes.md`.
struct VolumeState: Codable, Sendable, Equatable {
    /// A directory in overlayfs' upper form, immutable.
    struct Layer: Codable, Sendable, Equatable {
        /// Of the directory; its manifest is beside it, `<name>.manifest`.
        var name: String
        /// The generation that it stands upon; 0 for the lowest.
        var from: Int
        /// The generation that the stack up to here is.
        var to: Int
        /// How many entries its manifest has.
        var entries: Int
        /// Whether its bytes have been written through to the disk.
        var isDurable: Bool
    }

    /// A delta that can be handed to others, though its directory may have been merged with others.
    struct JournalEntry: Codable, Sendable, Equatable {
        var from: Int
        var to: Int
        /// The file of the delta manifest.
        var file: String
    }

    /// 2: digests of large files by their blocks, journals with what files were made of. A volume of another version starts anew.
    static let currentVersion = 2

    var version = VolumeState.currentVersion
    var key: VolumeKey
    /// Of the kernel that wrote this: what is not durable is lost when another one has started since.
    var boot: String
    /// For the names of new directories.
    var counter = 0
    /// The lowest first; each one's `from` is the `to` of the one before.
    var layers: [Layer] = []
    /// The oldest first.
    var journal: [JournalEntry] = []
    var bytes: Int64 = 0
    var files: Int64 = 0

    init(key: VolumeKey, boot: String) {
        self.key = key
        self.boot = boot
    }

    var generation: Int { layers.last?.to ?? 0 }

    /// The part of the journal that leads from a generation to the newest; nil if it does not reach back that far.
    func journal(since generation: Int) -> ArraySlice<JournalEntry>? {
        guard let first = journal.firstIndex(where: { $0.from == generation }) else { return nil }
        var reached = generation
        for entry in journal[first...] {
            guard entry.from == reached else { return nil }
            reached = entry.to
        }
        return reached == self.generation ? journal[first...] : nil
    }
}
