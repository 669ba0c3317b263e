import BlockingIO
import Glibc

/// A TCP proxy on loopback that cuts connections after so many bytes have come down from the server, and counts them.
final class CuttingProxy: Sendable {
    private struct State {
        /// Bytes that the coming connections let through, the next one first; those after the last are not cut.
        var budgets: [Int]
        var passed = 0
        var flipsInsteadOfCutting: Bool
        var sockets: [Int32] = []
        var closed = false
    }

    let port: UInt16
    private let listener: Int32
    private let target: UInt16
    private let state: Monitor<State>

    /// - Parameters:
    ///   - target: the port on loopback that is behind it.
    ///   - budgets: bytes after which the first connections are cut, each in its turn.
    ///   - flips: instead of cutting, damages the byte and goes on.
    init(to target: UInt16, budgets: [Int], flips: Bool = false) throws {
        self.target = target
        state = Monitor(State(budgets: budgets, flipsInsteadOfCutting: flips))
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        self.listener = listener
        var address = Self.loopback(0)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let bound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(listener, $0, length) + getsockname(listener, $0, &length) }
        }
        guard listener >= 0, bound == 0, listen(listener, 16) == 0 else { throw ShellFailure(script: "listen", status: errno) }
        port = UInt16(bigEndian: address.sin_port)
        let pool = BlockingPool(limit: 32)
        Task { try? await pool.run { self.accept(pool) } }
    }

    /// Bytes that have come down, of all connections.
    var passed: Int { state.withLock { $0.passed } }

    func close() {
        let sockets = state.withLock { state in
            state.closed = true
            return state.sockets
        }
        shutdown(listener, Int32(SHUT_RDWR))
        for number in sockets { shutdown(number, Int32(SHUT_RDWR)) }
    }

    private static func loopback(_ port: UInt16) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        return address
    }

    private func accept(_ pool: BlockingPool) {
        while true {
            let client = Glibc.accept(listener, nil, nil)
            guard client >= 0 else { return }
            let server = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            var address = Self.loopback(target)
            let connected = withUnsafePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    connect(server, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
                }
            }
            let (budget, closed) = state.withLock { state in
                state.sockets += [client, server]
                return (state.budgets.isEmpty ? nil : state.budgets.removeFirst(), state.closed)
            }
            guard connected == 0, !closed else {
                shutdown(client, Int32(SHUT_RDWR))
                continue
            }
            Task { try? await pool.run { self.copy(from: client, to: server, budget: nil, counts: false) } }
            Task { try? await pool.run { self.copy(from: server, to: client, budget: budget, counts: true) } }
        }
    }

    private func copy(from: Int32, to: Int32, budget: Int?, counts: Bool) {
        var left = budget
        var buffer = [UInt8](repeating: 0, count: 16 << 10)
        defer {
            shutdown(from, Int32(SHUT_RDWR))
            shutdown(to, Int32(SHUT_RDWR))
        }
        while true {
            let count = recv(from, &buffer, buffer.count, 0)
            guard count > 0 else { return }
            if let rest = left, rest < count {
                guard state.withLock({ $0.flipsInsteadOfCutting }) else { return }
                buffer[rest] ^= 1
                left = nil
            } else if let rest = left {
                left = rest - count
            }
            var sent = 0
            while sent < count {
                let part = buffer[sent..<count].withUnsafeBytes { send(to, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
                guard part > 0 else { return }
                sent += part
            }
            if counts { state.withLock { $0.passed += count } }
        }
    }
}
