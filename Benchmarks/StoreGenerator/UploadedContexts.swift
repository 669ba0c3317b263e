import BlockingIO
import BuildPlan
import Digests
import FileTree

/// What the clients of many builds have uploaded: a pack of directories and a pack of file contents each, as the coordinator keeps them.
enum UploadedContexts {
    /// Of a pack: an incremental build changes a few files.
    private static let contentsPerPack = 20

    /// Adds packs to the stores of a data directory. Blocks: each pack is synchronized, as an upload is.
    static func write(_ count: Int, to data: String) throws {
        for name in ["objects", "packs"] {
            let store = try PackStore(directory: Array("\(data)/context/\(name)".utf8))
            for pack in 0..<count {
                let bytes = Bytes()
                let writer = try ContentPackWriter(bytes)
                for number in 0..<contentsPerPack {
                    let content = Array("\(name) \(pack) \(number) ".utf8) + [UInt8](repeating: 65, count: 500)
                    try content.withUnsafeBytes { try writer.append(Digest.of($0), $0) }
                }
                try writer.finish()
                try store.receive(bytes)
            }
        }
    }

    /// Written first, then read.
    private final class Bytes: ByteSink, ByteSource {
        private var bytes: [UInt8] = []
        private var position = 0

        func write(_ more: UnsafeRawBufferPointer) { bytes.append(contentsOf: more) }

        func read(into buffer: UnsafeMutableRawBufferPointer) -> Int {
            let count = min(buffer.count, bytes.count - position)
            bytes.withUnsafeBytes { buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[position..<position + count])) }
            position += count
            return count
        }
    }
}
