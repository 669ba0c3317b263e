import BlockingIO
import CLibrsync
import Glibc

/// librsync's three jobs as streams: memory is two buffers and, for a delta, the signature.
///
/// Ownership: a job (`rs_job_t`) is made and freed inside one call of this file, and so is a loaded signature
/// (`rs_signature_t`), which the delta job only borrows; buffers are lent to librsync for one `rs_job_iter` at a time. No pointer
/// leaves this file.
public enum Rsync {
    static let bufferSize = 64 << 10
    /// Scattered small edits want small blocks: at 1% in 100-byte edits, half the delta of 8 KiB ones.
    static let smallestBlock = 2048
    /// A signature's blocks at the most: bounds the sender's memory at 32 MiB. Larger files get larger blocks.
    static let blockLimit = 1 << 20
    /// What one block takes in a signature at the most: a weak sum of 4 and MD4 of 16 bytes, with the header to spare.
    public static let signatureLimit = blockLimit * 20 + 64

    /// The block length for an old file of that size.
    static func blockLength(forSize size: UInt64) -> Int {
        let needed = (size + UInt64(blockLimit) - 1) / UInt64(blockLimit)
        return max(smallestBlock, Int(clamping: (needed + 1023) / 1024 * 1024))
    }

    /// Writes the signature of an old file.
    ///
    /// MD4 as the strong sum: it is twice as fast, and a block that matches wrongly, even by somebody's intent, is found by the
    /// SHA-256 of the whole file.
    public static func writeSignature(of old: any ByteSource, size: UInt64, to sink: any ByteSink) throws {
        var magic = RS_RK_MD4_SIG_MAGIC
        var block = blockLength(forSize: size)
        // -1: as long as chance demands for this many blocks.
        var strong = Int(bitPattern: UInt.max)
        try check(rs_sig_args(rs_long_t(clamping: size), &magic, &block, &strong), "signature")
        try run(rs_sig_begin(block, strong, magic), "signature", from: old, to: sink)
    }

    /// Reads a signature, then writes what makes the old file the new one.
    ///
    /// - Parameter signature: of a peer; not trusted, at most ``signatureLimit`` bytes.
    public static func writeDelta(signature: any ByteSource, new: any ByteSource, to sink: any ByteSink) throws {
        var sums: OpaquePointer?
        let limited = LimitedSource(signature, limit: signatureLimit)
        defer { if let sums { rs_free_sumset(sums) } }
        try run(rs_loadsig_begin(&sums), "signature reading", from: limited, to: nil)
        guard let sums else { throw TreeSyncError.librsync(operation: "signature reading", code: Int32(RS_CORRUPT.rawValue)) }
        try check(rs_build_hash_table(sums), "signature indexing")
        try run(rs_delta_begin(sums), "delta", from: new, to: sink)
    }

    /// Applies a delta of a peer to an old file that is open and does not change.
    ///
    /// The sink is expected to refuse more bytes than were announced; what comes out is to be verified by its digest.
    public static func patch(old: Descriptor, size: UInt64, delta: any ByteSource, to sink: any ByteSink) throws {
        let base = PatchBase(descriptor: old, size: size)
        // The job keeps this pointer while it runs, which is shorter than `base` lives: withExtendedLifetime below.
        try withExtendedLifetime(base) {
            let job = rs_patch_begin(
                { opaque, position, length, buffer in
                    guard let opaque, let length, let buffer, let target = buffer.pointee else { return RS_PARAM_ERROR }
                    let base = Unmanaged<PatchBase>.fromOpaque(opaque).takeUnretainedValue()
                    return base.read(at: Int64(position), into: target, length: length)
                }, Unmanaged.passUnretained(base).toOpaque())
            try run(job, "patch", from: delta, to: sink)
        }
    }

    /// Drives a job to its end and frees it.
    /// Once: librsync writes what it thinks of a hostile delta to standard error; here it is thrown, and logged by who asked for it.
    private static let silence: Void = rs_trace_set_level(RS_LOG_EMERG)

    private static func run(_ job: OpaquePointer?, _ operation: String, from source: any ByteSource, to sink: (any ByteSink)?) throws {
        _ = silence
        guard let job else { throw TreeSyncError.librsync(operation: operation, code: Int32(RS_MEM_ERROR.rawValue)) }
        defer { rs_job_free(job) }
        let input = UnsafeMutableRawBufferPointer.allocate(byteCount: bufferSize, alignment: 16)
        let output = UnsafeMutableRawBufferPointer.allocate(byteCount: bufferSize, alignment: 16)
        defer {
            input.deallocate()
            output.deallocate()
        }
        guard let inputStart = input.baseAddress?.assumingMemoryBound(to: CChar.self),
            let outputStart = output.baseAddress?.assumingMemoryBound(to: CChar.self)
        else { return }
        var buffers = rs_buffers_t()
        buffers.next_in = inputStart
        while true {
            if buffers.eof_in == 0 {
                // librsync may leave a rest; it is moved to the front, so that it sees as much as possible at once.
                if buffers.avail_in > 0, buffers.next_in != inputStart { memmove(inputStart, buffers.next_in, buffers.avail_in) }
                buffers.next_in = inputStart
                if buffers.avail_in < bufferSize {
                    let room = UnsafeMutableRawBufferPointer(rebasing: input[buffers.avail_in...])
                    let count = try source.read(into: room)
                    if count == 0 { buffers.eof_in = 1 }
                    buffers.avail_in += count
                }
            }
            buffers.next_out = outputStart
            buffers.avail_out = bufferSize
            let before = buffers.avail_in
            let result = rs_job_iter(job, &buffers)
            let made = bufferSize - buffers.avail_out
            if made > 0 {
                guard let sink else { throw TreeSyncError.librsync(operation: operation, code: Int32(RS_INTERNAL_ERROR.rawValue)) }
                try sink.write(UnsafeRawBufferPointer(start: outputStart, count: made))
            }
            switch result {
            case RS_DONE: return
            case RS_BLOCKED:
                // No progress with all input there: librsync would ask for ever.
                let stuck = made == 0 && buffers.avail_in == before && (buffers.eof_in != 0 || buffers.avail_in == bufferSize)
                if stuck { throw TreeSyncError.librsync(operation: operation, code: Int32(RS_INPUT_ENDED.rawValue)) }
            default: throw TreeSyncError.librsync(operation: operation, code: Int32(result.rawValue))
            }
        }
    }

    private static func check(_ result: rs_result, _ operation: String) throws {
        guard result == RS_DONE else { throw TreeSyncError.librsync(operation: operation, code: Int32(result.rawValue)) }
    }
}

/// The old file of a patch; positions come from the peer and are held inside the file.
private final class PatchBase {
    let descriptor: Descriptor
    let size: UInt64

    init(descriptor: Descriptor, size: UInt64) {
        self.descriptor = descriptor
        self.size = size
    }

    func read(at position: Int64, into target: UnsafeMutableRawPointer, length: UnsafeMutablePointer<Int>) -> rs_result {
        guard position >= 0, UInt64(position) < size else { return RS_CORRUPT }
        let wanted = Int(clamping: min(UInt64(length.pointee), size - UInt64(position)))
        let count = pread(descriptor.number, target, wanted, off_t(position))
        guard count > 0 else { return RS_IO_ERROR }
        length.pointee = count
        return RS_DONE
    }
}
