/// A host and a port: `127.0.0.1:7480`, `farm.example.org:7480`, `[::1]:7480`.
public struct Endpoint: Sendable, Hashable, LosslessStringConvertible {
    /// A name or an address, without brackets.
    public var host: String
    /// 0 for a free one.
    public var port: Int

    public init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    /// Reads `HOST:PORT`; nil for anything else. An IPv6 address stands in brackets.
    public init?(_ description: String) {
        guard let colon = description.lastIndex(of: ":"), let port = UInt16(description[description.index(after: colon)...]) else {
            return nil
        }
        var host = description[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
            guard host.contains(":") else { return nil }
        } else if host.contains(":") {
            return nil
        }
        guard !host.isEmpty, host.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f && $0 != UInt8(ascii: "/") }) else { return nil }
        self.init(host: String(host), port: Int(port))
    }

    public var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}
