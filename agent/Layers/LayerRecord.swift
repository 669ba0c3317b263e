import BuildPlan
import FoundationEssentials
import Glibc

/// What lies beside a layer's directory: a JSON file that is complete before the directory gets its name.
struct LayerRecord: Codable, Equatable {
    var layer: LayerDescriptor
    /// True: the archive is not canonical, and lies compressed beside the directory to be handed on as it came.
    var keepsArchive: Bool
    /// The boot during which the layer was made, until it is known to be on the disk; see ``LayerStore/synchronize()``.
    var unsynchronizedBoot: String?

    /// Reads a record; nil for one that is missing or damaged.
    static func read(_ path: String) -> LayerRecord? {
        guard let bytes = try? SmallFile.read(path) else { return nil }
        return try? JSONDecoder().decode(LayerRecord.self, from: Data(bytes))
    }

    /// Writes the record aside and renames it: a reader sees all of it or nothing.
    func write(to path: String, by temporary: String) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        try SmallFile.write(Array(encoder.encode(self)), to: temporary)
        guard rename(temporary, path) == 0 else { throw LayerStoreError.call("rename", temporary) }
    }

    /// The kernel's name of this boot: what was written during it and not lost with the machine is in its page cache.
    static func currentBoot() -> String {
        let bytes = (try? SmallFile.read("/proc/sys/kernel/random/boot_id")) ?? []
        return String(decoding: bytes.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
    }
}
