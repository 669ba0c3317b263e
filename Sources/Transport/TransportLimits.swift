/// Every limit of the transport and why it is what it is.
enum TransportLimits {
    /// What a peer may send on one stream before its reader has read it. Decides the speed over distance: 4 MiB give 50 MB/s at 40 ms.
    static let streamWindow: Int32 = 4 << 20
    /// The same over all streams of a connection that a server accepted; it is also what one peer can make us hold for slow readers.
    static let connectionWindow: Int32 = 16 << 20
    /// The same for a client, which chose its server: sixteen answers that are read slowly (layers that go to a disk) must not hold up
    /// the commands that come on the same connection.
    static let clientConnectionWindow: Int32 = 64 << 20
    /// Connections that have not shown yet who they are, or are being refused: a whole farm that comes back at once, and no more for strangers
    /// who say nothing for the time of ``handshakeTimeout``.
    static let passingConnections = 2048
    /// Names, values and 32 bytes a field (RFC 9113, 6.5.2). Tokens and image names are long, nothing of ours is near this.
    static let headerListSize = 64 << 10
    /// Fields of one head.
    static let headerCount = 200
    /// Resets that a peer may send in a burst, and then per second (CVE-2023-44487): a builder that cancels many requests stays below.
    static let resetBurst: UInt64 = 1000
    static let resetsPerSecond: UInt64 = 100
    /// CONTINUATION frames of one head (CVE-2024-28182): enough for `headerListSize` in the smallest frames that libraries make.
    static let continuations = 8
    /// What a streamed body holds for a peer that does not take it; more lets a writer run ahead without gain.
    static let outboundQueue = 256 << 10
    /// Output collected before it is encrypted: four full TLS records.
    static let outputChunk = 64 << 10
    /// The channel counts as not writable above the high mark: keeps slow readers' memory in libnghttp2's windows, not in NIO's queue.
    static let writeHighWaterMark = 256 << 10
    static let writeLowWaterMark = 64 << 10
    /// From accept to a finished handshake; a peer that speaks something else, or nothing, is dropped then.
    static let handshakeTimeout: Duration = .seconds(10)
    /// After a refused handshake we still read, so that the alert that says why is not overtaken by a TCP reset.
    static let refusalLinger: Duration = .seconds(2)
    /// What is left of a request that is answered already may come for so long, into its window and no further: many round trips.
    static let answeredLinger: Duration = .seconds(1)
    /// Silence after which a ping is sent.
    static let pingInterval: Duration = .seconds(10)
    /// Pings that may stay unanswered; the connection counts as lost at the next one.
    static let unansweredPings = 2
    /// Certificates' names longer than this are refused; X.520 allows 64 characters.
    static let certificateNameLength = 256
    /// The first line of an HTTP/1.1 request.
    static let requestLineLength = 16 << 10
    /// A chunk's line: a size of 16 digits and what extensions a tool may add; those are ignored.
    static let chunkLineLength = 256
    /// Bytes of a request that an HTTP/1.1 connection holds for a slow reader before it stops reading.
    static let http1Held = 1 << 20
    /// How long an HTTP/1.1 connection may take for its next head, from accept or from the last response.
    static let http1HeadTimeout: Duration = .seconds(60)
}
