import NIOCore
import Transport

/// Typed requests to the coordinator: JSON in, JSON out, its errors as ``APIError``.
public struct APIClient: Sendable {
    /// A JSON answer of the coordinator is never larger than this; lists are cut by the server before.
    public static let answerLimit = 64 << 20

    public let http: HTTPClient
    private let token: String?

    /// - Parameter token: shown as bearer where the identity has no certificate.
    public init(http: HTTPClient, token: String? = nil) {
        self.http = http
        self.token = token
    }

    /// Sends a request; a status of 400 or more is thrown as ``RequestFailed``. The body of the answer is the caller's to read.
    public func send(
        _ method: String, _ target: String, headers: [HeaderField] = [], body: OutboundBody = .none, deadline: Duration? = .seconds(60)
    ) async throws -> ClientResponse {
        var headers = headers
        if let token { headers.append(HeaderField("authorization", "Bearer \(token)")) }
        let response = try await http.send(ClientRequest(method: method, target: target, headers: headers, body: body), deadline: deadline)
        guard response.status >= 400 else { return response }
        let text = try await response.body.collect(upTo: Self.answerLimit)
        let error = try? FarmJSON.decode(APIError.self, from: text)
        throw RequestFailed(status: response.status, message: error?.message ?? "the coordinator answered with status \(response.status)")
    }

    /// Sends no body and reads a JSON answer.
    public func get<Answer: Decodable>(_ type: Answer.Type, _ target: String, deadline: Duration? = .seconds(60)) async throws -> Answer {
        let response = try await send("GET", target, deadline: deadline)
        return try FarmJSON.decode(type, from: try await response.body.collect(upTo: Self.answerLimit))
    }

    /// Sends JSON and reads a JSON answer. `deadline` nil: as long as the coordinator takes.
    public func post<Answer: Decodable>(
        _ type: Answer.Type, _ target: String, _ value: some Encodable & Sendable, deadline: Duration? = .seconds(60)
    ) async throws -> Answer {
        let response = try await send("POST", target, headers: Self.json, body: try Self.body(value), deadline: deadline)
        return try FarmJSON.decode(type, from: try await response.body.collect(upTo: Self.answerLimit))
    }

    /// Sends JSON; the answer has no content.
    public func post(_ target: String, _ value: some Encodable & Sendable, deadline: Duration? = .seconds(60)) async throws {
        _ = try await send("POST", target, headers: Self.json, body: try Self.body(value), deadline: deadline).body
            .collect(upTo: Self.answerLimit)
    }

    /// Opens a stream of JSON values, one a line, that lasts as long as the server sends.
    public func lines<Element: Decodable & Sendable>(
        _ type: Element.Type, _ method: String, _ target: String, body: OutboundBody = .none
    ) async throws -> JSONLines<Element> {
        JSONLines(body: try await send(method, target, headers: Self.json, body: body).body)
    }

    private static let json = [HeaderField("content-type", "application/json")]

    private static func body(_ value: some Encodable) throws -> OutboundBody { .bytes(ByteBuffer(bytes: try FarmJSON.encode(value))) }
}

/// The coordinator refused a request.
public struct RequestFailed: Error, Sendable, CustomStringConvertible {
    public let status: Int
    public let message: String
    public var description: String { message }

    public init(status: Int, message: String) {
        self.status = status
        self.message = message
    }
}

/// JSON values, one a line, as they arrive.
public struct JSONLines<Element: Decodable & Sendable>: AsyncSequence, Sendable {
    /// A line longer than this is refused: a log event is at most a few hundred KiB.
    public static var lineLimit: Int { 32 << 20 }

    let body: InboundBody

    public init(body: InboundBody) { self.body = body }

    public struct AsyncIterator: AsyncIteratorProtocol {
        var parts: InboundBody.AsyncIterator
        var buffer = ByteBuffer()
        /// Bytes of the buffer that are known to have no line feed.
        var searched = 0

        public mutating func next() async throws -> Element? {
            while true {
                let view = buffer.readableBytesView
                if let end = view[(view.startIndex + searched)...].firstIndex(of: UInt8(ascii: "\n")) {
                    let length = end - view.startIndex
                    searched = 0
                    guard let line = buffer.readSlice(length: length) else { return nil }
                    buffer.moveReaderIndex(forwardBy: 1)
                    if length == 0 { continue }
                    return try FarmJSON.decode(Element.self, from: line)
                }
                searched = buffer.readableBytes
                guard searched <= JSONLines.lineLimit else { throw TransportError.bodyTooLarge(limit: JSONLines.lineLimit) }
                guard let part = try await parts.next() else {
                    // A last line without its line feed was cut off on the way.
                    return nil
                }
                buffer.discardReadBytes()
                buffer.writeImmutableBuffer(part)
            }
        }
    }

    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(parts: body.makeAsyncIterator()) }
}

/// Percent-encoding of a path segment or a query value.
public func percentEncoded(_ text: String) -> String {
    let digits = Array("0123456789ABCDEF".utf8)
    var bytes: [UInt8] = []
    for byte in text.utf8 {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
            UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."), UInt8(ascii: "~"):
            bytes.append(byte)
        default: bytes += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
        }
    }
    return String(decoding: bytes, as: UTF8.self)
}
