import BlockingIO
import Glibc
import Testing

/// A TCP proxy on loopback with weather: between an agent and the coordinator, or before an agent's server for other agents.
final class FaultProxy: Sendable {
    /// What happens to bytes on their way.
    enum Weather: Sendable, Equatable {
        case clear
        /// Nothing moves in either direction, and nobody is told: as a cable that was pulled.
        case silent
        /// What the server says does not arrive; what it is told does.
        case halfOpen
        /// Each piece is late by so many milliseconds.
        case slow(Int)
        /// New connections are closed at once.
        case refusing
    }

    private struct State {
        var weather = Weather.clear
        /// Bytes towards the client until something happens to them; nil for never.
        var budget: Int?
        var flips = false
        /// Bytes that went to clients.
        var passed = 0
        var links: [Int: Link] = [:]
        var lastLink = 0
        var isClosed = false
    }

    /// A client's connection and the one behind it. Its sockets are closed when both directions have ended.
    private struct Link {
        var client: Int32
        var server: Int32
        var directions = 2
    }

    /// Where clients connect.
    let port: Int
    private let target: Int
    private let listener: Int32
    private let state = Monitor(State())
    /// Two threads a connection.
    private let pool = BlockingPool(limit: 256)
    private static let pause: useconds_t = 10_000

    /// - Parameter target: the port on loopback that is behind it; nobody need listen there yet.
    init(to target: Int) throws {
        self.target = target
        listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        port = try Self.listen(listener)
        Task { [self] in try? await pool.run { self.accept() } }
    }

    private static func listen(_ listener: Int32) throws -> Int {
        var address = loopback(0)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let bound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(listener, $0, length) + getsockname(listener, $0, &length) }
        }
        try #require(listener >= 0 && bound == 0 && Glibc.listen(listener, 64) == 0, "no proxy: \(String(cString: strerror(errno)))")
        return Int(UInt16(bigEndian: address.sin_port))
    }

    /// A port that nobody listens on now.
    static func freePort() throws -> Int {
        let probe = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        defer { Glibc.close(probe) }
        return try listen(probe)
    }

    // MARK: What tests do

    /// Bytes that went to clients so far.
    var passed: Int { state.withLock(\.passed) }

    func set(_ weather: Weather) { state.withLock { $0.weather = weather } }

    /// All is as if the proxy were not there.
    func clear() {
        state.withLock { state in
            state.weather = .clear
            state.budget = nil
        }
    }

    /// Ends all connections that are there now.
    func cut() {
        state.withLock { state in
            for link in state.links.values {
                shutdown(link.client, Int32(SHUT_RDWR))
                shutdown(link.server, Int32(SHUT_RDWR))
            }
        }
    }

    /// Cuts the connection that brings the client's byte of that number from now on; or damages that byte and goes on.
    func spoil(after bytes: Int, flips: Bool) {
        state.withLock { state in
            state.budget = bytes
            state.flips = flips
        }
    }

    func close() {
        state.withLock { state in
            state.isClosed = true
            state.weather = .clear
        }
        shutdown(listener, Int32(SHUT_RDWR))
        cut()
    }

    // MARK: Threads

    private static func loopback(_ port: Int) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        return address
    }

    private func accept() {
        defer { Glibc.close(listener) }
        while true {
            let client = Glibc.accept(listener, nil, nil)
            if client < 0 {
                if errno == EINTR || errno == ECONNABORTED { continue }
                return
            }
            _ = fcntl(client, F_SETFD, FD_CLOEXEC)
            guard state.withLock({ !$0.isClosed && $0.weather != .refusing }), let server = connect() else {
                Glibc.close(client)
                continue
            }
            var yes: Int32 = 1
            for end in [client, server] { setsockopt(end, Int32(IPPROTO_TCP), TCP_NODELAY, &yes, socklen_t(MemoryLayout<Int32>.size)) }
            let number = state.withLock { state in
                state.lastLink += 1
                state.links[state.lastLink] = Link(client: client, server: server)
                return state.lastLink
            }
            Task { [self] in try? await pool.run { self.pump(number, from: client, to: server, isDown: false) } }
            Task { [self] in try? await pool.run { self.pump(number, from: server, to: client, isDown: true) } }
        }
    }

    private func connect() -> Int32? {
        let server = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = Self.loopback(target)
        let status = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(server, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        if status == 0 { return server }
        Glibc.close(server)
        return nil
    }

    /// - Parameter isDown: from the server to the client.
    private func pump(_ number: Int, from: Int32, to: Int32, isDown: Bool) {
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = read(from, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            // Also the end of a connection is not heard of while nothing moves.
            waitForWeather(isDown)
            guard count > 0 else { break }
            var length = count
            var isCut = false
            if isDown, let (place, flips) = spend(count) {
                if flips { buffer[place] ^= 1 } else { (length, isCut) = (place, true) }
            }
            guard Self.write(buffer[..<length], to: to), !isCut else { break }
            if isDown { state.withLock { $0.passed += length } }
        }
        state.withLock { state in
            guard var link = state.links[number] else { return }
            shutdown(link.client, Int32(SHUT_RDWR))
            shutdown(link.server, Int32(SHUT_RDWR))
            link.directions -= 1
            state.links[number] = link.directions == 0 ? nil : link
            guard link.directions == 0 else { return }
            Glibc.close(link.client)
            Glibc.close(link.server)
        }
    }

    private func waitForWeather(_ isDown: Bool) {
        while true {
            switch state.withLock(\.weather) {
            case .clear, .refusing: return
            case .slow(let milliseconds):
                usleep(useconds_t(milliseconds) * 1000)
                return
            case .halfOpen where !isDown: return
            case .silent, .halfOpen: usleep(Self.pause)
            }
        }
    }

    /// The place in a piece of so many bytes at which something happens to it.
    private func spend(_ count: Int) -> (place: Int, flips: Bool)? {
        state.withLock { state in
            guard let budget = state.budget else { return nil }
            if budget >= count {
                state.budget = budget - count
                return nil
            }
            state.budget = nil
            return (budget, state.flips)
        }
    }

    private static func write(_ bytes: ArraySlice<UInt8>, to descriptor: Int32) -> Bool {
        var rest = bytes
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return false }
            rest = rest.dropFirst(count)
        }
        return true
    }
}
