import BuildPlan
import FarmAPI
import Transport

/// Why a command of the client failed, in words for its user.
public enum ClientError: Error, Sendable, CustomStringConvertible, Equatable {
    /// Wrong usage: exit 2.
    case usage(String)
    /// The configuration file: exit 2.
    case configuration(String)
    /// Anything else: exit 1.
    case failed(String)
    /// The build itself failed and its progress has said why: exit 1 without another word.
    case buildFailed
    /// SIGINT or SIGTERM, or the build was cancelled by someone: exit 130.
    case cancelled

    public var description: String {
        switch self {
        case .usage(let text), .configuration(let text), .failed(let text): text
        case .buildFailed: "the build failed"
        case .cancelled: "cancelled"
        }
    }

    /// The exit code of the program.
    public var exitCode: Int32 {
        switch self {
        case .usage, .configuration: 2
        case .failed, .buildFailed: 1
        case .cancelled: 130
        }
    }

    /// Makes any error one for the user of a farm at `address`.
    public init(_ error: any Error, coordinator address: String) {
        switch error {
        case let error as ClientError: self = error
        case is CancellationError: self = .cancelled
        case let error as RequestFailed: self = .failed(error.message)
        case let error as TransportError: self = .failed(Self.text(of: error, address: address))
        default: self = .failed("\(error)")
        }
    }

    private static func text(of error: TransportError, address: String) -> String {
        switch error {
        case .connectFailed(let address, let reason):
            "the coordinator at \(address) can't be reached: \(reason); is it running, and is 'coordinator' in client.yaml right?"
        case .handshakeFailed(let address, let reason):
            "the coordinator at \(address) and this client don't trust each other: \(reason); check certificate, key and authority in client.yaml"
        case .connectionLost, .closed: "the connection to the coordinator at \(address) was lost"
        case .streamReset(let code): "the coordinator at \(address) broke off the answer (code \(code))"
        case .deadlineExceeded: "the coordinator at \(address) did not answer in time"
        case .bodyTooLarge(let limit): "the coordinator at \(address) answered with more than \(limit) bytes"
        case .badIdentity(let file, let reason): "\(file): \(reason)"
        // Faults of our own side of the exchange, which have no advice of their own.
        case .bindFailed, .wrongBodyLength, .invalidHeader: "\(error)"
        }
    }

    /// True where trying again may help: the coordinator is restarted, the network is back.
    static func isTransient(_ error: any Error) -> Bool {
        switch error {
        case TransportError.connectFailed, TransportError.connectionLost, TransportError.streamReset, TransportError.deadlineExceeded,
            TransportError.closed:
            true
        // A full disk stays full for longer than anybody wants to wait without a word.
        case let error as RequestFailed: error.status >= 500 && error.status != 507
        default: false
        }
    }
}
