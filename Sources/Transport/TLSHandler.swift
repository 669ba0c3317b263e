import NIOCore

/// Encrypts and decrypts one channel; tells once how the handshake ended.
///
/// libssl is never inside a call while the channel's events run: what it gives is collected first and handed on afterwards.
final class TLSHandler: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// What a finished handshake says; the receiver adds the next handler before it returns.
    struct Established {
        var peer: PeerIdentity?
        var applicationProtocol: String?
    }

    private enum State { case handshaking, open, refused, closed }

    private let session: TLSSession
    private let timeout: TimeAmount
    private let onHandshake: (Result<Established, TLSFailure>) -> Void
    private var state = State.handshaking
    private var timer: Scheduled<Void>?
    private var unflushed = false

    init(session: TLSSession, timeout: Duration, onHandshake: @escaping (Result<Established, TLSFailure>) -> Void) {
        self.session = session
        self.timeout = TimeAmount(timeout)
        self.onHandshake = onHandshake
    }

    func handlerAdded(context: ChannelHandlerContext) { if context.channel.isActive { start(context) } }

    func channelActive(context: ChannelHandlerContext) {
        start(context)
        context.fireChannelActive()
    }

    private func start(_ context: ChannelHandlerContext) {
        guard state == .handshaking, timer == nil else { return }
        timer = context.eventLoop.assumeIsolated().scheduleTask(in: timeout) { self.timedOut(context) }
        shakeHands(context)
        emit(context)
        flushOutput(context)
    }

    private func timedOut(_ context: ChannelHandlerContext) {
        guard state == .handshaking else { return }
        state = .closed
        onHandshake(.failure(TLSFailure(reason: "no handshake within \(timeout)", mayPass: true)))
        context.close(promise: nil)
    }

    private func shakeHands(_ context: ChannelHandlerContext) {
        switch session.handshake() {
        case .wantsInput: break
        case .failed(let failure): refuse(context, failure)
        case .done:
            do {
                let established = Established(peer: try session.peerIdentity(), applicationProtocol: session.applicationProtocol)
                timer?.cancel()
                state = .open
                emit(context)
                onHandshake(.success(established))
            } catch {
                refuse(context, error as? TLSFailure ?? TLSFailure(reason: "\(error)"))
            }
        }
    }

    /// Sends the alert that says why, and reads on for a while: a close with unread input would reset the connection before the peer has
    /// seen the alert.
    private func refuse(_ context: ChannelHandlerContext, _ failure: TLSFailure) {
        timer?.cancel()
        state = .refused
        emit(context)
        flushOutput(context)
        onHandshake(.failure(failure))
        guard context.channel.isActive else { return }
        context.close(mode: .output, promise: nil)
        timer = context.eventLoop.assumeIsolated().scheduleTask(in: TimeAmount(TransportLimits.refusalLinger)) {
            context.close(promise: nil)
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard state == .handshaking || state == .open else { return }
        session.receive(unwrapInboundIn(data))
        if state == .handshaking { shakeHands(context) }
        drain(context)
    }

    private func drain(_ context: ChannelHandlerContext) {
        while state == .open {
            switch session.read(context.channel.allocator) {
            case .bytes(let bytes): context.fireChannelRead(wrapInboundOut(bytes))
            case .wantsInput: return
            case .ended:
                closeNow(context)
                return
            case .failed(let failure):
                emit(context)
                flushOutput(context)
                context.fireErrorCaught(failure)
                closeNow(context)
                return
            }
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        emit(context)
        context.fireChannelReadComplete()
        flushOutput(context)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        guard state == .open, session.write(unwrapOutboundIn(data)) else {
            promise?.fail(ChannelError.ioOnClosedChannel)
            return
        }
        emit(context, promise)
    }

    func flush(context: ChannelHandlerContext) {
        unflushed = false
        context.flush()
    }

    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        if state == .open {
            state = .closed
            session.shutdown()
            emit(context)
            flushOutput(context)
        }
        context.close(mode: mode, promise: promise)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is DrainConnection, state == .handshaking { closeNow(context) }
        context.fireUserInboundEventTriggered(event)
    }

    func channelInactive(context: ChannelHandlerContext) {
        timer?.cancel()
        let before = state
        state = .closed
        if before == .handshaking {
            onHandshake(.failure(TLSFailure(reason: "the connection broke off during the handshake", mayPass: true)))
        }
        context.fireChannelInactive()
    }

    private func closeNow(_ context: ChannelHandlerContext) { close(context: context, mode: .all, promise: nil) }

    /// Hands encrypted output to the channel, so that it counts for its writability; `flushOutput` sends it.
    private func emit(_ context: ChannelHandlerContext, _ promise: EventLoopPromise<Void>? = nil) {
        guard let bytes = session.takeOutput(context.channel.allocator) else {
            promise?.succeed(())
            return
        }
        unflushed = true
        context.write(wrapOutboundOut(bytes), promise: promise)
    }

    private func flushOutput(_ context: ChannelHandlerContext) {
        guard unflushed else { return }
        unflushed = false
        context.flush()
    }
}
