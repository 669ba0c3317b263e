import Glibc
import NIOPosix

private func loopback(_ port: Int) -> sockaddr_in {
    sockaddr_in(
        sin_family: sa_family_t(AF_INET), sin_port: in_port_t(port).bigEndian, sin_addr: in_addr(s_addr: UInt32(0x7F00_0001).bigEndian),
        sin_zero: (0, 0, 0, 0, 0, 0, 0, 0))
}

private func withAddress<Result>(
    _ address: inout sockaddr_in, _ body: (UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> Result
) -> Result {
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    return withUnsafeMutablePointer(to: &address) { $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, &length) } }
}

struct SocketError: Error {}

/// A port whose connections the kernel takes and nobody answers.
final class SilentListener: Sendable {
    private let descriptor: Int32
    let port: Int

    init() throws {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        self.descriptor = descriptor
        var address = loopback(0)
        guard withAddress(&address, { bind(descriptor, $0, $1.pointee) }) == 0, listen(descriptor, 16) == 0,
            withAddress(&address, { getsockname(descriptor, $0, $1) }) == 0
        else { throw SocketError() }
        port = Int(in_port_t(bigEndian: address.sin_port))
    }

    /// May be called once, before the end.
    func close() { shutdown(descriptor, Int32(SHUT_RDWR)) }

    deinit { Glibc.close(descriptor) }
}

/// A plain TCP connection.
final class RawConnection: Sendable {
    private let descriptor: Int32

    init(port: Int) throws {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        self.descriptor = descriptor
        var address = loopback(port)
        guard withAddress(&address, { connect(descriptor, $0, $1.pointee) }) == 0 else { throw SocketError() }
    }

    deinit { close(descriptor) }

    func send(_ text: String) {
        let bytes = Array(text.utf8)
        if !bytes.isEmpty { Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)) }
    }

    /// Reads until the peer closes or resets; false when it does neither within 20 seconds.
    func readsToEnd() async -> Bool {
        let descriptor = descriptor
        return await
            (try? NIOThreadPool.singleton.runIfActive {
                var wait = timeval(tv_sec: 20, tv_usec: 0)
                setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &wait, socklen_t(MemoryLayout<timeval>.size))
                var part = [UInt8](repeating: 0, count: 4096)
                while true {
                    let count = recv(descriptor, &part, part.count, 0)
                    if count == 0 { return true }
                    if count < 0 { return errno == ECONNRESET }
                }
            }) ?? false
    }
}
