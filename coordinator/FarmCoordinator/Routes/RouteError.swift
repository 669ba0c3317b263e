import Daemon
import FarmAPI
import FileTree
import Glibc
import NIOCore
import OCI
import Transport

/// Why a request is not answered as it wished; each has its status.
enum RouteError: Error, Sendable, Equatable {
    case badRequest(String)
    case unauthorized(String)
    case forbidden(String)
    case notFound(String)
    case methodNotAllowed(String, allowed: [String])
    case conflict(String)
    case tooLarge(limit: Int64)
    /// An agent could not give what was asked for.
    case badGateway(String)
    case unavailable(String)
    case insufficientStorage(String)
    case `internal`(String)

    var status: Int {
        switch self {
        case .badRequest: 400
        case .unauthorized: 401
        case .forbidden: 403
        case .notFound: 404
        case .methodNotAllowed: 405
        case .conflict: 409
        case .tooLarge: 413
        case .internal: 500
        case .badGateway: 502
        case .unavailable: 503
        case .insufficientStorage: 507
        }
    }

    var message: String {
        switch self {
        case .badRequest(let text), .unauthorized(let text), .forbidden(let text), .notFound(let text), .conflict(let text),
            .badGateway(let text), .unavailable(let text), .insufficientStorage(let text), .internal(let text):
            text
        case .methodNotAllowed(let method, let allowed): "\(method) is not possible here; possible: \(allowed.joined(separator: ", "))"
        case .tooLarge(let limit): "the body is larger than \(ByteCount.format(limit)), the most that is taken here"
        }
    }

    var response: ServerResponse {
        var headers: [HeaderField] = []
        switch self {
        case .methodNotAllowed(_, let allowed): headers.append(HeaderField("allow", allowed.joined(separator: ", ")))
        case .unauthorized: headers.append(HeaderField("www-authenticate", "Bearer realm=\"farm\""))
        default: break
        }
        return .json(APIError(message: message), status: status, headers: headers)
    }
}

extension ServerResponse {
    /// A value as JSON.
    static func json(_ value: some Encodable, status: Int = 200, headers: [HeaderField] = []) -> ServerResponse {
        do {
            let bytes = try FarmJSON.encode(value)
            return ServerResponse(
                status: status, headers: [HeaderField("content-type", "application/json")] + headers, body: .bytes(ByteBuffer(bytes: bytes))
            )
        } catch {
            // Only numbers that JSON has no form for can't be encoded; no type of ours has any.
            return ServerResponse(status: 500)
        }
    }

    /// 204: done, nothing to say.
    static var noContent: ServerResponse { ServerResponse(status: 204) }

    /// Bytes without a form that HTTP knows.
    static func octets(_ bytes: [UInt8]) -> ServerResponse {
        ServerResponse(
            status: 200, headers: [HeaderField("content-type", "application/octet-stream")], body: .bytes(ByteBuffer(bytes: bytes)))
    }
}

extension RouteError {
    /// What any error means to the one who asked. What is not foreseen is told as such, without its text: that is for the log.
    init(_ error: any Error) {
        switch error {
        case let error as RouteError: self = error
        case let error as EngineError:
            switch error {
            case .notFound(let text): self = .notFound(text)
            case .invalid(let text): self = .badRequest(text)
            case .conflict(let text): self = .conflict(text)
            case .unavailable(let text): self = .unavailable(text)
            }
        case let error as FileTreeError: self.init(error)
        // The path in it is that of the upload's copy here, which says nothing to the user.
        case ImageError.notAnImage(_, let reason):
            self = .badRequest(ImageError.notAnImage(path: "", reason: reason).description)
        case let error as ImageError: self = .badRequest(error.description)
        case LayerError.system(_, _, let code), SetupError.failed(_, _, let code): self.init(errno: code)
        case let error as LayerError: self = .badRequest(error.description)
        case TransportError.bodyTooLarge(let limit): self = .tooLarge(limit: Int64(limit))
        case let error as TransportError: self = .badRequest("the body did not arrive: \(error)")
        case is CancellationError: self = .unavailable("the request was given up")
        default: self = .internal(Self.unforeseen)
        }
    }

    private static let unforeseen = "the coordinator failed; its log says more"

    private init(errno code: Int32) {
        switch code {
        case ENOSPC, EDQUOT: self = .insufficientStorage("the coordinator's disk is full; free space below its data directory")
        default: self = .internal(Self.unforeseen)
        }
    }

    private init(_ error: FileTreeError) {
        switch error {
        case .system(_, _, let code): self.init(errno: code)
        case .missingContent, .missingObject: self = .internal(Self.unforeseen)
        case .tooLarge, .malformed, .digestMismatch, .changedWhileRead, .deviceNode, .notDirectory, .tooManySymlinks:
            self = .badRequest(error.description)
        case .notFound: self = .notFound(error.description)
        }
    }
}
