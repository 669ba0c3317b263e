/// What steps know about names: /etc/resolv.conf and /etc/hosts.
enum NameResolution {
    private static let limit = 64 << 10
    private static let path = "/etc/resolv.conf"
    /// systemd-resolved's list of the real servers.
    private static let upstreamPath = "/run/systemd/resolve/resolv.conf"

    /// The machine's own configuration; empty where it has none. Blocking.
    static func resolverConfiguration() -> String {
        let resolved = (try? RootPath.resolve(path, in: "")) ?? path
        let text = read(resolved)
        guard isStub(text) else { return text }
        let upstream = read(upstreamPath)
        return upstream.isEmpty ? text : upstream
    }

    private static func read(_ path: String) -> String {
        String(decoding: (try? Files.read(path, limit: limit)).flatMap(\.self) ?? [], as: UTF8.self)
    }

    /// True where all servers are loopback addresses: systemd-resolved's own, which a step of another network can't reach.
    static func isStub(_ text: String) -> Bool {
        let servers = text.split(whereSeparator: \.isNewline).compactMap { line -> Substring? in
            let words = line.split(whereSeparator: \.isWhitespace)
            return words.count > 1 && words[0] == "nameserver" ? words[1] : nil
        }
        return !servers.isEmpty && servers.allSatisfy { $0.hasPrefix("127.") || $0 == "::1" }
    }

    /// - Parameter extra: `name:address`; an IPv6 address may stand in brackets.
    static func hosts(extra: [String]) -> String {
        var text = "127.0.0.1\tlocalhost \(RuntimeSpec.hostname)\n::1\tlocalhost ip6-localhost ip6-loopback\n"
        for entry in extra {
            guard let colon = entry.firstIndex(of: ":") else { continue }
            var address = entry[entry.index(after: colon)...]
            if address.hasPrefix("["), address.hasSuffix("]") { address = address.dropFirst().dropLast() }
            text += "\(address)\t\(entry[..<colon])\n"
        }
        return text
    }
}
