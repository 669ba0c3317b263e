import Digests
import Testing

@Suite struct DigestTests {
    @Test func `the digest of nothing is the well-known one`() {
        #expect(Digest.of("").description == "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    }

    @Test func `portions do not matter`() {
        var hasher = SHA256Hasher()
        hasher.update("a")
        hasher.update("bc")
        #expect(hasher.finalize() == Digest.of("abc"))
    }

    @Test func `text and value are the same thing`() {
        for number in 0..<1_000 {
            let digest = Digest.of("\(number)")
            #expect(Digest(digest.description) == digest)
            #expect(Digest(bytes: digest.bytes) == digest)
        }
    }

    @Test(arguments: [
        "", "sha256:", "sha256:00", "md5:" + String(repeating: "0", count: 64), "sha256:" + String(repeating: "G", count: 64),
    ])
    func `what is no digest is refused`(text: String) {
        #expect(Digest(text) == nil)
    }

    @Test func `order is that of the bytes`() throws {
        let low = try #require(Digest(hex: "00" + String(repeating: "ff", count: 31)))
        let high = try #require(Digest(hex: "01" + String(repeating: "00", count: 31)))
        #expect(low < high)
        #expect(!(high < low))
    }

    @Test func `digests that differ in one byte only are told apart by their hash`() throws {
        for place in 0..<Digest.byteCount {
            let alike = (0..<UInt8.max).compactMap { value in
                var bytes = [UInt8](repeating: 7, count: Digest.byteCount)
                bytes[place] = value
                return Digest(bytes: bytes)
            }
            #expect(Set(alike.map(\.hashValue)).count == alike.count, "byte \(place)")
        }
    }
}
