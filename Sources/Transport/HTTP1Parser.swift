import NIOCore

/// The head of an HTTP/1.1 request.
struct HTTP1Head: Equatable {
    var method: String
    var target: String
    /// 0 for HTTP/1.0, 1 for HTTP/1.1.
    var minorVersion: Int
    /// Names in lower case.
    var headers: [HeaderField]
    /// The connection may be used again.
    var keepAlive: Bool
    /// The peer waits for a "100 Continue" before it sends the body.
    var expectsContinue: Bool
    /// A body follows.
    var hasBody: Bool
}

/// Why a request can't be understood; the connection ends with that status.
struct HTTP1Error: Error, Equatable {
    var status: Int
    var reason: String

    static func bad(_ reason: String) -> HTTP1Error { HTTP1Error(status: 400, reason: reason) }
}

/// Reads HTTP/1.1 requests (RFC 9112) out of bytes, without I/O. Strict where leniency lets two readers see different requests: only CRLF
/// ends a line, no folded lines, one way of framing, one length.
struct HTTP1Parser {
    enum Event: Equatable {
        case head(HTTP1Head)
        case body(ByteBuffer)
        /// The request is complete; the next call reads the next one.
        case end
    }

    private enum State { case head, length(Int), chunkSize, chunk(Int), chunkEnd, trailers(Int), end }

    private var state = State.head
    private var input = ByteBuffer()
    /// Where the head's last line begins, and how far the search for its end has come: a head in many small parts costs no more.
    private var searched = 0
    private var scanned = 0

    /// Bytes that are not parsed yet.
    var held: Int { input.readableBytes }

    mutating func receive(_ bytes: ByteBuffer) {
        if input.readableBytes == 0 {
            input = bytes
        } else {
            input.discardReadBytes()
            input.writeImmutableBuffer(bytes)
        }
    }

    /// The next part of a request; nil when more bytes are needed.
    mutating func next() throws(HTTP1Error) -> Event? {
        while true {
            switch state {
            case .head: return try nextHead()
            case .length(0), .end:
                state = .head
                return .end
            case .length(let rest):
                guard let part = take(rest) else { return nil }
                state = .length(rest - part.readableBytes)
                return .body(part)
            case .chunkSize:
                guard let line = try nextLine(limit: TransportLimits.chunkLineLength) else { return nil }
                let size = try Self.chunkSize(line)
                state = size == 0 ? .trailers(0) : .chunk(size)
            case .chunk(let rest):
                guard let part = take(rest) else { return nil }
                state = part.readableBytes == rest ? .chunkEnd : .chunk(rest - part.readableBytes)
                return .body(part)
            case .chunkEnd:
                guard let line = try nextLine(limit: 0) else { return nil }
                guard line.isEmpty else { throw .bad("a chunk is longer than its size") }
                state = .chunkSize
            case .trailers(let size):
                // Trailers are of no use to any handler; they are bounded and dropped.
                guard let line = try nextLine(limit: TransportLimits.headerListSize - size) else { return nil }
                state = line.isEmpty ? .end : .trailers(size + line.count)
            }
        }
    }

    private mutating func take(_ most: Int) -> ByteBuffer? {
        guard input.readableBytes > 0 else { return nil }
        return input.readSlice(length: min(most, input.readableBytes))
    }

    /// A line without its CRLF; nil when it is not complete yet.
    private mutating func nextLine(limit: Int) throws(HTTP1Error) -> [UInt8]? {
        let view = input.readableBytesView
        guard let end = view.firstIndex(of: UInt8(ascii: "\n")) else {
            guard view.count <= limit + 1 else { throw HTTP1Error(status: 400, reason: "a line of a body is too long") }
            return nil
        }
        let line = view[..<end]
        guard line.last == UInt8(ascii: "\r"), line.count <= limit + 1 else { throw .bad("a line of a body is malformed") }
        let text = Array(line.dropLast())
        guard !text.contains(UInt8(ascii: "\r")) else { throw .bad("a line of a body has a bare CR") }
        input.moveReaderIndex(forwardBy: line.count + 1)
        return text
    }

    private static func chunkSize(_ line: [UInt8]) throws(HTTP1Error) -> Int {
        var digits = line.prefix { $0 != UInt8(ascii: ";") }
        while digits.last == UInt8(ascii: " ") || digits.last == UInt8(ascii: "\t") { digits.removeLast() }
        // 15 hexadecimal digits can't overflow.
        guard (1...15).contains(digits.count), digits.allSatisfy({ Character(UnicodeScalar($0)).isHexDigit }),
            let size = Int(String(decoding: digits, as: UTF8.self), radix: 16)
        else { throw .bad("a chunk's size is malformed") }
        return size
    }

    // MARK: Head

    private static let lineTooLong = HTTP1Error(status: 414, reason: "the request's first line is too long")

    private mutating func nextHead() throws(HTTP1Error) -> Event? {
        // An empty line before a request is allowed (RFC 9112, 2.2).
        while searched == 0, let start = input.getBytes(at: input.readerIndex, length: 2), start == [13, 10] {
            input.moveReaderIndex(forwardBy: 2)
            scanned = 0
        }
        let view = input.readableBytesView
        var index = view.startIndex + searched
        var lineLimit = TransportLimits.requestLineLength
        if searched > 0 { lineLimit = TransportLimits.headerListSize }
        while let end = view[max(index, view.startIndex + scanned)...].firstIndex(of: UInt8(ascii: "\n")) {
            guard end > view.startIndex, view[end - 1] == UInt8(ascii: "\r") else { throw .bad("a line of the head does not end in CRLF") }
            if end - index == 1 {
                let lines = Array(view[..<index])
                guard lines.count <= TransportLimits.headerListSize else { throw HTTP1Error(status: 431, reason: "the head is too large") }
                searched = 0
                scanned = 0
                input.moveReaderIndex(forwardBy: end + 1 - view.startIndex)
                return .head(try parse(lines))
            }
            guard end - index <= lineLimit else { throw Self.lineTooLong }
            lineLimit = TransportLimits.headerListSize
            index = end + 1
        }
        searched = index - view.startIndex
        scanned = view.count
        guard searched > 0 || view.count <= TransportLimits.requestLineLength else { throw Self.lineTooLong }
        guard view.count <= TransportLimits.headerListSize else { throw HTTP1Error(status: 431, reason: "the head is too large") }
        return nil
    }

    private mutating func parse(_ head: [UInt8]) throws(HTTP1Error) -> HTTP1Head {
        let lines = head.split(separator: UInt8(ascii: "\n")).map { $0.dropLast() }
        guard let first = lines.first, lines.count <= TransportLimits.headerCount + 1 else {
            throw HTTP1Error(status: 431, reason: "the head has too many fields")
        }
        guard !lines.contains(where: { $0.contains { byte in byte == 13 || byte == 0 } }) else {
            throw .bad("the head has a bare CR or a NUL")
        }
        let words = first.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
        guard words.count == 3, !words[0].isEmpty, words[0].allSatisfy(HeaderRules.isToken), !words[1].isEmpty,
            words[1].allSatisfy({ $0 > 0x20 && $0 < 0x7F })
        else { throw .bad("the request's first line is malformed") }
        let minorVersion: Int
        switch String(decoding: words[2], as: UTF8.self) {
        case "HTTP/1.1": minorVersion = 1
        case "HTTP/1.0": minorVersion = 0
        default: throw HTTP1Error(status: 505, reason: "only HTTP/1.1 and HTTP/2 are spoken")
        }
        var headers: [HeaderField] = []
        for line in lines.dropFirst() { headers.append(try Self.field(line)) }
        guard minorVersion == 0 || headers.count(where: { $0.name == "host" }) == 1 else { throw .bad("there must be one Host") }
        let connection = headers.filter { $0.name == "connection" }.map { $0.value.lowercased() }.joined(separator: ",")
        let hasBody = try frame(headers, minorVersion)
        return HTTP1Head(
            method: String(decoding: words[0], as: UTF8.self), target: String(decoding: words[1], as: UTF8.self),
            minorVersion: minorVersion, headers: headers, keepAlive: minorVersion == 1 && !connection.contains("close"),
            expectsContinue: minorVersion == 1 && headers.first(named: "expect")?.lowercased() == "100-continue", hasBody: hasBody)
    }

    private static func field(_ line: ArraySlice<UInt8>) throws(HTTP1Error) -> HeaderField {
        guard let colon = line.firstIndex(of: UInt8(ascii: ":")), colon > line.startIndex,
            line[..<colon].allSatisfy(HeaderRules.isToken)
        else { throw .bad("a field of the head is malformed") }
        func isBlank(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }
        var value = line[(colon + 1)...].drop(while: isBlank)
        while let last = value.last, isBlank(last) { value.removeLast() }
        guard value.allSatisfy({ ($0 >= 0x20 && $0 != 0x7F) || $0 == 0x09 }) else {
            throw .bad("a field of the head has control characters")
        }
        return HeaderField(String(decoding: line[..<colon], as: UTF8.self).lowercased(), String(decoding: value, as: UTF8.self))
    }

    /// Decides how the body is framed; true when there is one.
    private mutating func frame(_ headers: [HeaderField], _ minorVersion: Int) throws(HTTP1Error) -> Bool {
        let lengths = headers.filter { $0.name == "content-length" }
        let encodings = headers.filter { $0.name == "transfer-encoding" }
        if !encodings.isEmpty {
            guard lengths.isEmpty, minorVersion == 1 else { throw .bad("a body has two framings") }
            guard encodings.count == 1, encodings[0].value.lowercased() == "chunked" else {
                throw HTTP1Error(status: 501, reason: "only the transfer encoding \"chunked\" is understood")
            }
            state = .chunkSize
            return true
        }
        guard let length = lengths.first else {
            state = .end
            return false
        }
        guard lengths.count == 1, (1...18).contains(length.value.utf8.count),
            length.value.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }), let count = Int(length.value)
        else { throw .bad("the content-length is malformed") }
        state = .length(count)
        return count > 0
    }
}
