import CNGHTTP2
import NIOCore

/// What an HTTP/2 session tells while it takes input or makes output. The receiver may call the session's other methods, but must not
/// touch the channel.
protocol HTTP2SessionDelegate: AnyObject {
    /// A head (or trailers, where the stream is known); names are lower case and begin with `:` for pseudo headers.
    func received(head: [HeaderField], on stream: Int32)
    func received(data: ByteBuffer, on stream: Int32)
    func receivedEnd(on stream: Int32)
    func receivedSettings()
    func receivedGoAway()
    /// Our end of the stream is sent.
    func sentEnd(on stream: Int32)
    /// The stream is over, with an error code where it was reset.
    func closed(stream: Int32, code: UInt32)
    /// Asks for the next bytes of a body.
    func nextBytes(of stream: Int32, upTo limit: Int) -> OutboundPipe.Taken
}

/// One HTTP/2 connection without I/O, by libnghttp2. Belongs to one event loop.
///
/// Ownership: the `nghttp2_session` is ours and freed in deinit only. Its user data is an unretained pointer to this object, which is alive
/// whenever libnghttp2 runs, since only methods of this object call it. No callback does I/O, so none can end up in deinit.
final class HTTP2Session {
    enum Failure: Error { case protocolError(String) }

    /// Nil only within init.
    private var session: OpaquePointer?
    /// Set while input is taken or output made, the only times at which libnghttp2 calls back.
    private var delegate: (any HTTP2SessionDelegate)?
    private var head: [HeaderField] = []
    private var headSize = 0
    private var output = ByteBuffer()
    /// The bytes of the DATA frame that is being made, between the two callbacks that make it.
    private var frameBytes = ByteBuffer()

    init(server: Bool, maximumStreams: UInt32) {
        var callbacks: OpaquePointer?
        var options: OpaquePointer?
        nghttp2_session_callbacks_new(&callbacks)
        nghttp2_option_new(&options)
        defer {
            nghttp2_session_callbacks_del(callbacks)
            nghttp2_option_del(options)
        }
        Self.register(callbacks)
        // The window is given back as readers consume, see `consume`.
        nghttp2_option_set_no_auto_window_update(options, 1)
        nghttp2_option_set_stream_reset_rate_limit(options, TransportLimits.resetBurst, TransportLimits.resetsPerSecond)
        nghttp2_option_set_max_continuations(options, TransportLimits.continuations)
        nghttp2_option_set_no_closed_streams(options, 1)
        let user = Unmanaged.passUnretained(self).toOpaque()
        if server {
            nghttp2_session_server_new2(&session, callbacks, user, options)
        } else {
            nghttp2_session_client_new2(&session, callbacks, user, options)
        }
        var settings = [
            setting(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, UInt32(TransportLimits.streamWindow)),
            setting(NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, UInt32(TransportLimits.headerListSize)),
            setting(NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, maximumStreams),
        ]
        if !server { settings.append(setting(NGHTTP2_SETTINGS_ENABLE_PUSH, 0)) }
        nghttp2_submit_settings(session, UInt8(NGHTTP2_FLAG_NONE.rawValue), settings, settings.count)
        let window = server ? TransportLimits.connectionWindow : TransportLimits.clientConnectionWindow
        nghttp2_session_set_local_window_size(session, UInt8(NGHTTP2_FLAG_NONE.rawValue), 0, window)
    }

    deinit { nghttp2_session_del(session) }

    private func setting(_ id: nghttp2_settings_id, _ value: UInt32) -> nghttp2_settings_entry {
        nghttp2_settings_entry(settings_id: Int32(id.rawValue), value: value)
    }

    // MARK: Input and output

    /// Takes bytes from the peer. Throws when the peer breaks the protocol so that the connection has to end.
    func receive(_ bytes: ByteBuffer, delegate: any HTTP2SessionDelegate) throws {
        self.delegate = delegate
        defer { self.delegate = nil }
        let taken = bytes.withUnsafeReadableBytes { raw in
            nghttp2_session_mem_recv(session, raw.baseAddress?.assumingMemoryBound(to: UInt8.self), raw.count)
        }
        guard taken == bytes.readableBytes else { throw Failure.protocolError(String(cString: nghttp2_strerror(Int32(clamping: taken)))) }
    }

    /// The next bytes for the peer, about ``TransportLimits/outputChunk``; nil when there are none now.
    func nextOutput(_ allocator: ByteBufferAllocator, delegate: any HTTP2SessionDelegate) throws -> ByteBuffer? {
        self.delegate = delegate
        defer { self.delegate = nil }
        output = allocator.buffer(capacity: 0)
        while output.readableBytes < TransportLimits.outputChunk {
            // Borrowed until the next call on the session; copied at once. DATA frames go to `output` by the send_data callback.
            var data: UnsafePointer<UInt8>?
            let before = output.readableBytes
            let count = nghttp2_session_mem_send(session, &data)
            guard count >= 0 else { throw Failure.protocolError(String(cString: nghttp2_strerror(Int32(clamping: count)))) }
            if count > 0 {
                if output.capacity < TransportLimits.outputChunk, before + count > 1024 {
                    output.reserveCapacity(TransportLimits.outputChunk + TransportLimits.outputChunk / 2)
                }
                output.writeBytes(UnsafeBufferPointer(start: data, count: count))
            } else if output.readableBytes == before {
                break
            }
        }
        defer { output = ByteBuffer() }
        return output.readableBytes > 0 ? output : nil
    }

    /// True when nothing more can come or go: the connection is to be closed.
    var isOver: Bool { nghttp2_session_want_read(session) == 0 && nghttp2_session_want_write(session) == 0 }

    /// Gives the peer room for that many bytes back; also for streams that are over.
    func consume(_ count: Int, on stream: Int32) { nghttp2_session_consume(session, stream, count) }

    /// The same for the connection's window only: the stream's peer gets no more room.
    func consumeForConnection(_ count: Int) { nghttp2_session_consume_connection(session, count) }

    // MARK: Frames

    /// The new stream's number; nil when the connection takes no more streams.
    func submit(request head: [HeaderField], hasBody: Bool) -> Int32? {
        let stream = Self.withFields(head) { fields, count in
            guard hasBody else { return nghttp2_submit_request(session, nil, fields, count, nil, nil) }
            var provider = Self.provider
            return nghttp2_submit_request(session, nil, fields, count, &provider, nil)
        }
        return stream > 0 ? stream : nil
    }

    func submit(response head: [HeaderField], on stream: Int32, hasBody: Bool) {
        _ = Self.withFields(head) { fields, count in
            guard hasBody else { return nghttp2_submit_response(session, stream, fields, count, nil) }
            var provider = Self.provider
            return nghttp2_submit_response(session, stream, fields, count, &provider)
        }
    }

    /// There are bytes again for a body that had none.
    func resume(_ stream: Int32) { nghttp2_session_resume_data(session, stream) }

    func reset(_ stream: Int32, code: HTTP2Code) {
        nghttp2_submit_rst_stream(session, UInt8(NGHTTP2_FLAG_NONE.rawValue), stream, code.rawValue)
    }

    func ping() { nghttp2_submit_ping(session, UInt8(NGHTTP2_FLAG_NONE.rawValue), nil) }

    /// Tells the peer that no new streams are taken; those under way go on.
    func goAway() {
        let last = nghttp2_session_get_last_proc_stream_id(session)
        nghttp2_submit_goaway(session, UInt8(NGHTTP2_FLAG_NONE.rawValue), last, HTTP2Code.noError.rawValue, nil, 0)
    }

    private static var provider: nghttp2_data_provider {
        nghttp2_data_provider(source: nghttp2_data_source()) { _, stream, _, limit, flags, _, user in
            HTTP2Session.from(user).makeFrame(stream, limit, flags)
        }
    }

    /// Calls with C fields that are valid for the call; libnghttp2 copies them.
    private static func withFields<Result>(
        _ head: [HeaderField], _ body: (UnsafePointer<nghttp2_nv>?, Int) -> Result
    ) -> Result {
        var text: [UInt8] = []
        text.reserveCapacity(head.reduce(0) { $0 + $1.name.utf8.count + $1.value.utf8.count })
        for field in head {
            text.append(contentsOf: field.name.utf8)
            text.append(contentsOf: field.value.utf8)
        }
        return text.withUnsafeMutableBufferPointer { text in
            var position = 0
            var fields: [nghttp2_nv] = []
            fields.reserveCapacity(head.count)
            for field in head {
                let name = field.name.utf8.count
                let value = field.value.utf8.count
                let start = text.baseAddress.map { $0 + position }
                fields.append(
                    nghttp2_nv(
                        name: start, value: start.map { $0 + name }, namelen: name, valuelen: value,
                        flags: UInt8(NGHTTP2_NV_FLAG_NONE.rawValue)))
                position += name + value
            }
            return body(fields, fields.count)
        }
    }

    // MARK: Callbacks

    private static func from(_ user: UnsafeMutableRawPointer?) -> HTTP2Session {
        guard let user else { preconditionFailure("libnghttp2 lost its user data") }
        return Unmanaged<HTTP2Session>.fromOpaque(user).takeUnretainedValue()
    }

    private static func register(_ callbacks: OpaquePointer?) {
        nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks) { _, _, user in
            let session = HTTP2Session.from(user)
            session.head = []
            session.headSize = 0
            return 0
        }
        nghttp2_session_callbacks_set_on_header_callback(callbacks) { _, _, name, nameLength, value, valueLength, _, user in
            HTTP2Session.from(user).add(
                UnsafeBufferPointer(start: name, count: nameLength), UnsafeBufferPointer(start: value, count: valueLength))
        }
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks) { _, _, stream, data, length, user in
            HTTP2Session.from(user).delegate?
                .received(data: ByteBuffer(bytes: UnsafeBufferPointer(start: data, count: length)), on: stream)
            return 0
        }
        nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks) { _, frame, user in
            if let frame { HTTP2Session.from(user).received(frame) }
            return 0
        }
        nghttp2_session_callbacks_set_on_frame_send_callback(callbacks) { _, frame, user in
            guard let header = frame?.pointee.hd, header.flags & UInt8(NGHTTP2_FLAG_END_STREAM.rawValue) != 0 else { return 0 }
            if UInt32(header.type) == NGHTTP2_DATA.rawValue || UInt32(header.type) == NGHTTP2_HEADERS.rawValue {
                HTTP2Session.from(user).delegate?.sentEnd(on: header.stream_id)
            }
            return 0
        }
        nghttp2_session_callbacks_set_on_stream_close_callback(callbacks) { _, stream, code, user in
            HTTP2Session.from(user).delegate?.closed(stream: stream, code: code)
            return 0
        }
        nghttp2_session_callbacks_set_send_data_callback(callbacks) { _, _, header, length, _, user in
            HTTP2Session.from(user).emitFrame(header, length)
        }
    }

    private func add(_ name: UnsafeBufferPointer<UInt8>, _ value: UnsafeBufferPointer<UInt8>) -> Int32 {
        headSize += name.count + value.count + 32
        guard headSize <= TransportLimits.headerListSize, head.count < TransportLimits.headerCount else {
            return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE.rawValue  // Resets this stream; the connection goes on.
        }
        head.append(HeaderField(String(decoding: name, as: UTF8.self), String(decoding: value, as: UTF8.self)))
        return 0
    }

    private func received(_ frame: UnsafePointer<nghttp2_frame>) {
        let header = frame.pointee.hd
        switch UInt32(header.type) {
        case NGHTTP2_HEADERS.rawValue:
            let fields = head
            head = []
            delegate?.received(head: fields, on: header.stream_id)
        case NGHTTP2_DATA.rawValue: break
        case NGHTTP2_SETTINGS.rawValue:
            if header.flags & UInt8(NGHTTP2_FLAG_ACK.rawValue) == 0 { delegate?.receivedSettings() }
            return
        case NGHTTP2_GOAWAY.rawValue:
            delegate?.receivedGoAway()
            return
        default: return
        }
        if header.flags & UInt8(NGHTTP2_FLAG_END_STREAM.rawValue) != 0 { delegate?.receivedEnd(on: header.stream_id) }
    }

    /// First half of a DATA frame: decides its length and keeps its bytes.
    private func makeFrame(_ stream: Int32, _ limit: Int, _ flags: UnsafeMutablePointer<UInt32>?) -> Int {
        switch delegate?.nextBytes(of: stream, upTo: limit) ?? .failed {
        case .nothingYet: return Int(NGHTTP2_ERR_DEFERRED.rawValue)
        case .failed: return Int(NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE.rawValue)  // Resets the stream.
        case .bytes(let bytes, let last):
            frameBytes = bytes
            flags?.pointee |= NGHTTP2_DATA_FLAG_NO_COPY.rawValue
            if last { flags?.pointee |= NGHTTP2_DATA_FLAG_EOF.rawValue }
            return bytes.readableBytes
        }
    }

    /// Second half: the frame's header, made by libnghttp2 (9 bytes, borrowed), and the bytes.
    private func emitFrame(_ header: UnsafePointer<UInt8>?, _ length: Int) -> Int32 {
        if output.capacity < TransportLimits.outputChunk, length > 1024 {
            output.reserveCapacity(TransportLimits.outputChunk + TransportLimits.outputChunk / 2)
        }
        output.writeBytes(UnsafeBufferPointer(start: header, count: 9))
        output.writeImmutableBuffer(frameBytes)
        frameBytes = ByteBuffer()
        return 0
    }
}

/// Error codes of RFC 9113, section 7, that are sent.
enum HTTP2Code: UInt32 {
    case noError = 0
    case internalError = 2
    case refusedStream = 7
    case cancel = 8
}
