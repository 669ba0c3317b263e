import BlockingIO
import CZstd
import Glibc

/// The frame of every stream between agents: blocks of up to 128 KiB, each as it is or compressed by zstd, whatever is shorter.
///
/// Small files so share a block and compress together. After blocks that did not shrink the next ones are sent as they are: compressed
/// archives and objects cost a sample now and then only.
enum BlockFormat {
    static let blockSize = 128 << 10
    static let plain: UInt8 = 0
    static let zstd: UInt8 = 1
    static let end: UInt8 = 2
    /// Level 1 keeps up with a 10 Gbit/s network's half on one core; level 3 gains few percent for half the speed.
    static let level: Int32 = 1
    /// A block that shrinks by less than an eighth is not worth the receiver's time.
    static let worthwhile = 8
    /// After that many useless samples in a row, blocks between two samples.
    static let mostSkipped = 32
}

/// Writes blocks. Call ``finish()`` at the end. Counts what leaves.
final class BlockSink: ByteSink {
    private let sink: any ByteSink
    private var pending: [UInt8] = []
    private var packed: [UInt8]
    private var skip = 0
    private var toSkip = 0
    // Owned: made in init, freed in deinit, used by this object's methods only.
    private let context: OpaquePointer?

    init(_ sink: any ByteSink) {
        self.sink = sink
        pending.reserveCapacity(BlockFormat.blockSize)
        packed = [UInt8](repeating: 0, count: ZSTD_compressBound(BlockFormat.blockSize))
        context = ZSTD_createCCtx()
    }

    deinit { ZSTD_freeCCtx(context) }

    func write(_ bytes: UnsafeRawBufferPointer) throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            let part = rest.prefix(BlockFormat.blockSize - pending.count)
            pending.append(contentsOf: UnsafeRawBufferPointer(rebasing: part))
            rest = rest.dropFirst(part.count)
            if pending.count == BlockFormat.blockSize { try flush() }
        }
    }

    /// Sends what is pending, so that the other side can go on.
    func flush() throws {
        guard !pending.isEmpty else { return }
        defer { pending.removeAll(keepingCapacity: true) }
        if let length = compress() {
            var head = ByteEncoder()
            head.byte(BlockFormat.zstd)
            head.number(pending.count)
            head.number(length)
            try sink.write(head.bytes)
            try packed.withUnsafeBytes { try sink.write(UnsafeRawBufferPointer(rebasing: $0[..<length])) }
        } else {
            var head = ByteEncoder()
            head.byte(BlockFormat.plain)
            head.number(pending.count)
            try sink.write(head.bytes)
            try sink.write(pending)
        }
    }

    func finish() throws {
        try flush()
        try sink.write([BlockFormat.end])
    }

    /// The compressed length, nil where the block is better sent as it is.
    private func compress() -> Int? {
        if toSkip > 0 {
            toSkip -= 1
            return nil
        }
        let length = packed.withUnsafeMutableBytes { packed in
            pending.withUnsafeBytes { pending in
                ZSTD_compressCCtx(context, packed.baseAddress, packed.count, pending.baseAddress, pending.count, BlockFormat.level)
            }
        }
        if ZSTD_isError(length) == 0, length < pending.count - pending.count / BlockFormat.worthwhile {
            skip = 0
            return length
        }
        skip = min(BlockFormat.mostSkipped, max(1, skip * 2))
        toSkip = skip
        return nil
    }
}

/// Reads blocks. Ends at the end block; a source that ends before it is an error.
final class BlockSource: ByteSource {
    private let source: any ByteSource
    private var block: [UInt8] = []
    private var position = 0
    private var ended = false
    /// What arrived, with the frame's own bytes.
    private(set) var received: Int64 = 0
    // Owned: made in init, freed in deinit, used by this object's methods only.
    private let context: OpaquePointer?

    init(_ source: any ByteSource) {
        self.source = source
        context = ZSTD_createDCtx()
    }

    deinit { ZSTD_freeDCtx(context) }

    func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        if position == block.count, !ended { try nextBlock() }
        let count = min(buffer.count, block.count - position)
        block.withUnsafeBytes { buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[position..<position + count])) }
        position += count
        return count
    }

    /// One byte; throws at the end.
    func byte() throws -> UInt8 {
        if position == block.count, !ended { try nextBlock() }
        guard position < block.count else { throw TreeSyncError.badStream("it ends early") }
        defer { position += 1 }
        return block[position]
    }

    func number(upTo limit: UInt64) throws -> UInt64 { try Self.number(upTo: limit) { try byte() } }

    func raw(_ count: Int) throws -> [UInt8] {
        guard let bytes = try readExactly(count) else { throw TreeSyncError.badStream("it ends early") }
        return bytes
    }

    func string(upTo limit: Int) throws -> [UInt8] { try raw(Int(try number(upTo: UInt64(limit)))) }

    /// Everything up to the end.
    func rest(upTo limit: Int) throws -> [UInt8] {
        var bytes: [UInt8] = []
        while true {
            if position == block.count, !ended { try nextBlock() }
            if position == block.count { return bytes }
            bytes.append(contentsOf: block[position...])
            position = block.count
            guard bytes.count <= limit else { throw TreeSyncError.badStream("more than \(limit) bytes") }
        }
    }

    private func nextBlock() throws {
        position = 0
        block.removeAll(keepingCapacity: true)
        let kind = try frameByte()
        switch kind {
        case BlockFormat.end: ended = true
        case BlockFormat.plain:
            let count = try frameLength(upTo: BlockFormat.blockSize)
            block = try frame(count)
        case BlockFormat.zstd:
            let count = try frameLength(upTo: BlockFormat.blockSize)
            let packed = try frame(try frameLength(upTo: BlockFormat.blockSize))
            block = try [UInt8](unsafeUninitializedCapacity: count) { target, initialized in
                let length = packed.withUnsafeBytes { ZSTD_decompressDCtx(context, target.baseAddress, count, $0.baseAddress, $0.count) }
                guard ZSTD_isError(length) == 0, length == count else { throw TreeSyncError.badStream("a damaged block") }
                initialized = length
            }
        default: throw TreeSyncError.badStream("a block of the unknown kind \(kind)")
        }
        guard ended || !block.isEmpty else { throw TreeSyncError.badStream("an empty block") }
    }

    private func frameByte() throws -> UInt8 { try frame(1)[0] }

    private func frameLength(upTo limit: Int) throws -> Int { Int(try Self.number(upTo: UInt64(limit)) { try frameByte() }) }

    private func frame(_ count: Int) throws -> [UInt8] {
        guard let bytes = try source.readExactly(count) else { throw TreeSyncError.badStream("it ends early") }
        received += Int64(count)
        return bytes
    }

    private static func number(upTo limit: UInt64, byte: () throws -> UInt8) throws -> UInt64 {
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 63, by: 7) {
            let next = try byte()
            value |= UInt64(next & 0x7f) << shift
            guard value <= limit else { break }
            if next & 0x80 == 0 { return value }
        }
        throw TreeSyncError.badStream("a number that is too large")
    }
}
