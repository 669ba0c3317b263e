/// Why an exchange failed.
public enum TransportError: Error, Sendable, Equatable {
    /// Nobody answers at that address, or nobody who stays until the connection is secure: it may be starting, or be behind something else.
    case connectFailed(address: String, reason: String)
    /// The server's address is taken, not ours, or not allowed.
    case bindFailed(address: String, reason: String)
    /// The TLS handshake was refused, by us or by the peer; the reason names the certificate's fault.
    case handshakeFailed(address: String, reason: String)
    /// The connection broke off, or the peer no longer answers.
    case connectionLost
    /// The peer gave the exchange up; the codes are HTTP/2's (RFC 9113, 7).
    case streamReset(code: UInt32)
    /// The response's head did not come in time.
    case deadlineExceeded
    /// A body is larger than its reader takes.
    case bodyTooLarge(limit: Int)
    /// A streamed body was longer or shorter than its announced length.
    case wrongBodyLength
    /// A header's name or value has characters that must not be sent, or the request's target has.
    case invalidHeader(name: String)
    /// A file of the identity can't be used.
    case badIdentity(file: String, reason: String)
    /// The client, or this body, is closed on our side.
    case closed
}

extension TransportError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .connectFailed(let address, let reason): "can't connect to \(address): \(reason)"
        case .bindFailed(let address, let reason): "can't listen at \(address): \(reason)"
        case .handshakeFailed(let address, let reason): "no secure connection to \(address): \(reason)"
        case .connectionLost: "the connection was lost"
        case .streamReset(let code): "the peer gave the exchange up (\(Self.name(code)))"
        case .deadlineExceeded: "no response in time"
        case .bodyTooLarge(let limit): "the body is larger than \(limit) bytes"
        case .wrongBodyLength: "the body is longer or shorter than announced"
        case .invalidHeader(let name): "the header \(name) has characters that must not be sent"
        case .badIdentity(let file, let reason): "\(file) \(reason)"
        case .closed: "the client is closed"
        }
    }

    /// RFC 9113, section 7.
    private static func name(_ code: UInt32) -> String {
        let names = [
            "no error", "protocol error", "internal error", "flow control error", "settings timeout", "stream closed", "frame size error",
            "refused", "cancelled", "compression error", "connect error", "calm down", "insecure", "HTTP/1.1 required",
        ]
        return names.indices.contains(Int(code)) ? names[Int(code)] : "code \(code)"
    }
}
