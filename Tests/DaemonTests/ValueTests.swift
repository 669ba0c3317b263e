import Testing

@testable import Daemon

@Suite("Values of settings")
struct ValueTests {
    @Test(arguments: [
        ("127.0.0.1:80", Endpoint(host: "127.0.0.1", port: 80)), ("[::1]:7480", Endpoint(host: "::1", port: 7480)),
        ("farm.example.org:0", Endpoint(host: "farm.example.org", port: 0)),
    ])
    func `An endpoint is read and written the same`(_ text: String, _ endpoint: Endpoint) {
        #expect(Endpoint(text) == endpoint)
        #expect(endpoint.description == text)
    }

    @Test(arguments: ["", ":", "a", "a:", ":1", "::1:80", "[a]:1", "a:b", "a:70000", "a b:1", "a/b:1"])
    func `What is no endpoint is none`(_ text: String) { #expect(Endpoint(text) == nil) }

    @Test(arguments: [("0", 0), ("1024", 1024), ("1K", 1024), ("2MiB", 2 << 20), ("3gb", 3 << 30), ("1T", 1 << 40)] as [(String, Int64)])
    func `Bytes have units`(_ text: String, _ bytes: Int64) { #expect(ByteCount.parse(text) == bytes) }

    @Test(arguments: ["", "K", "-1", "1.5G", "1 G", "99999999999999999999", "9999999999T"])
    func `What is no number of bytes is none`(_ text: String) { #expect(ByteCount.parse(text) == nil) }

    @Test(
        arguments: [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (99_900 << 10, "97.6 MiB"), (1 << 40, "1.0 TiB")] as [(Int64, String)])
    func `Bytes are shown in three digits or so`(_ bytes: Int64, _ text: String) { #expect(ByteCount.format(bytes) == text) }
}
