import BlockingIO
import CZstd

/// Compresses what is written to it with zstd and passes it on. Call ``finish()`` at the end.
///
/// Not thread-safe. The context and the buffer are made in `init` and freed in `deinit`.
public final class ZstdSink: ByteSink {
    /// Layers are compressed to save disk and wire at the speed of a disk, not to be as small as can be.
    public static let defaultLevel: Int32 = 1

    private let sink: any ByteSink
    private let context: OpaquePointer
    private let buffer: UnsafeMutableRawBufferPointer

    /// - Parameter sink: gets the compressed bytes.
    public init(to sink: any ByteSink, level: Int32 = ZstdSink.defaultLevel) throws {
        guard let context = ZSTD_createCCtx() else { throw LayerError.unreadable(reason: "out of memory for zstd") }
        self.sink = sink
        self.context = context
        buffer = .allocate(byteCount: ZSTD_CStreamOutSize(), alignment: 16)
        ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, level)
    }

    deinit {
        ZSTD_freeCCtx(context)
        buffer.deallocate()
    }

    public func write(_ bytes: UnsafeRawBufferPointer) throws { try compress(bytes, ZSTD_e_continue) }

    /// Ends the frame; nothing may be written after it.
    public func finish() throws { try compress(UnsafeRawBufferPointer(start: nil, count: 0), ZSTD_e_end) }

    private func compress(_ bytes: UnsafeRawBufferPointer, _ mode: ZSTD_EndDirective) throws {
        var input = ZSTD_inBuffer(src: bytes.baseAddress, size: bytes.count, pos: 0)
        while true {
            var output = ZSTD_outBuffer(dst: buffer.baseAddress, size: buffer.count, pos: 0)
            let rest = ZSTD_compressStream2(context, &output, &input, mode)
            guard ZSTD_isError(rest) == 0 else { throw LayerError.unreadable(reason: String(cString: ZSTD_getErrorName(rest))) }
            if output.pos > 0 { try sink.write(UnsafeRawBufferPointer(rebasing: buffer[..<output.pos])) }
            if mode == ZSTD_e_end ? rest == 0 : input.pos == input.size { return }
        }
    }
}
