import Digests
import Testing

@testable import FileTree

@Suite struct TreeObjectTests {
    private static func name(_ random: inout Seeded) -> [UInt8] {
        let alphabet: [UInt8] = Array("ab.-_Z\u{e9}".utf8) + [0x01, 0x80, 0xFF]
        while true {
            let name = (0..<Int.random(in: 1...6, using: &random)).map { _ in alphabet.randomElement(using: &random) ?? 0x61 }
            if TreeObject.isValid(name: name) { return name }
        }
    }

    private static func object(_ random: inout Seeded) -> TreeObject {
        var names: Set<[UInt8]> = []
        for _ in 0..<Int.random(in: 0...6, using: &random) { names.insert(name(&random)) }
        return TreeObject(
            entries: names.shuffled(using: &random).map { name in
                let content: TreeEntry.Content =
                    switch Int.random(in: 0..<4, using: &random) {
                    case 0: .file(Digest.of(name), size: UInt64.random(in: 0...UInt64(Int64.max), using: &random))
                    case 1: .directory(Digest.of(name))
                    case 2: .symlink(target: [0x2F] + name)
                    default: .fifo
                    }
                return TreeEntry(
                    name: name, mode: UInt16.random(in: 0...0o7777, using: &random),
                    modified: Int64.random(in: Int64.min...Int64.max, using: &random), content: content)
            })
    }

    @Test func `What is encoded is decoded`() throws {
        var random = Seeded(1)
        for _ in 0..<10_000 {
            let object = Self.object(&random)
            #expect(try TreeObject(decoding: object.encoded()) == object)
        }
    }

    @Test func `Bytes that were tampered with are refused or are the encoding of what they decode to`() {
        var random = Seeded(2)
        for _ in 0..<20_000 {
            var bytes = Self.object(&random).encoded()
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                switch Int.random(in: 0..<3, using: &random) {
                case 0: bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
                case 1: bytes.removeLast(min(bytes.count - 1, Int.random(in: 1...8, using: &random)))
                default: bytes.append(UInt8.random(in: 0...255, using: &random))
                }
            }
            if let object = try? TreeObject(decoding: bytes) { #expect(object.encoded() == bytes) }
        }
    }

    @Test func `Only the order of bytes is accepted and no name twice`() {
        func encoded(_ names: [String]) -> [UInt8] {
            var bytes = Array("FTO1".utf8) + [UInt8(names.count), 0, 0, 0]
            for name in names {
                bytes +=
                    [4, 0, 0] + [UInt8](repeating: 0, count: 8) + [UInt8(truncatingIfNeeded: name.utf8.count), UInt8(name.utf8.count >> 8)]
                    + Array(name.utf8)
            }
            return bytes
        }
        #expect(throws: Never.self) { try TreeObject(decoding: encoded(["a", "b"])) }
        for names in [["b", "a"], ["a", "a"], [""], ["."], [".."], ["a/b"], ["a\0"], [String(repeating: "a", count: 255) + "b"]] {
            #expect(throws: FileTreeError.self) { try TreeObject(decoding: encoded(names)) }
        }
    }

    @Test func `A count that does not fit is refused before memory is taken`() {
        #expect(throws: FileTreeError.self) { try TreeObject(decoding: Array("FTO1".utf8) + [255, 255, 255, 255]) }
    }

    @Test func `A name is found and others are not`() {
        var random = Seeded(3)
        for _ in 0..<500 {
            let object = Self.object(&random)
            for entry in object.entries { #expect(object[entry.name] == entry) }
            let other = Self.name(&random)
            #expect(object[other] == object.entries.first { $0.name == other })
        }
    }
}
