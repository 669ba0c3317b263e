import Digests
import Glibc
import Testing

@testable import TreeSync

/// Whatever bytes come: an error, or something that is as valid as what we would have sent; in bounded time, and nothing outside touched.
///
/// `Corpus/` has inputs that once were interesting, `<target>-<name>`; they are the seeds, beside an example of each target. Changes are made
/// from a seed, so that a failure comes again. `FARM_FUZZ_ROUNDS` makes it longer.
struct FuzzTests {
    static let rounds = getenv("FARM_FUZZ_ROUNDS").flatMap { Int(String(cString: $0)) } ?? 250
    /// An input that takes longer, on however busy a machine, is an attack.
    static let timeLimit: Duration = .seconds(20)

    @Test(arguments: FuzzTarget.allCases) func `examples and the corpus are taken or refused`(target: FuzzTarget) throws {
        let bench = try FuzzTarget.Bench()
        defer { bench.remove() }
        let example = try target.example(bench)
        try target.take(target.isFramed ? target.dressed(example) : example, bench)
        if target == .holes { #expect(example.first == FetchFormat.sparse, "the disk has holes, and the sender finds them") }
        for (_, bytes) in try corpus(of: target) { try check(bytes, target, bench) }
    }

    @Test(arguments: FuzzTarget.allCases) func `changed bytes are refused or mean what they say`(target: FuzzTarget) throws {
        let bench = try FuzzTarget.Bench()
        defer { bench.remove() }
        var random = Seeded(UInt64(target.rawValue.utf8.reduce(7) { $0 &* 31 &+ Int($1) }))
        var seeds = [try target.example(bench)]
        seeds += try corpus(of: target).map(\.bytes)
        for _ in 0..<Self.rounds {
            var bytes = seeds[Int.random(in: 0..<seeds.count, using: &random)]
            for _ in 0..<Int.random(in: 1...4, using: &random) { change(&bytes, seeds, &random) }
            if target.isSealed { bytes.removeLast(min(bytes.count, Digest.byteCount)) }
            bytes = try target.dressed(bytes)
            // The frame itself too, now and then.
            if target.isFramed, Int.random(in: 0..<8, using: &random) == 0 { change(&bytes, seeds, &random) }
            try check(bytes, target, bench)
        }
    }

    private func check(_ bytes: [UInt8], _ target: FuzzTarget, _ bench: FuzzTarget.Bench) throws {
        let start = ContinuousClock.now
        do {
            try target.take(bytes, bench)
        } catch is TreeSyncError {
            // Refused, or the file system did.
        } catch {
            Issue.record("\(target): \(error) for \(bytes.prefix(2000))")
        }
        #expect(ContinuousClock.now - start < Self.timeLimit, "\(target): \(bytes.prefix(2000))")
        let names = try TreeReader.names(in: try Descriptor.directory(bench.folder), []).map { String(decoding: $0, as: UTF8.self) }
        #expect(Set(names).isSubset(of: ["generation", "new", "outside", "staging"]), "\(target): \(bytes.prefix(2000))")
        let outside = try TreeReader.names(in: try Descriptor.directory(bench.folder + "/outside"), [])
        #expect(outside == [Array("file".utf8)])
    }

    // MARK: Changing

    private func change(_ bytes: inout [UInt8], _ seeds: [[UInt8]], _ random: inout Seeded) {
        func below(_ limit: Int) -> Int { limit > 0 ? Int.random(in: 0..<limit, using: &random) : 0 }
        let place = below(bytes.count)
        let end = min(bytes.count, place + 1 + below(12))
        switch below(9) {
        case 0 where !bytes.isEmpty: bytes[place] ^= 1 << UInt8(below(8))
        case 1 where !bytes.isEmpty: bytes[place] = [0, 1, 2, 3, 0x7f, 0x80, 0xff, 0x2e, 0x2f][below(9)]
        case 2: bytes.removeSubrange(place..<end)
        case 3: bytes.insert(contentsOf: bytes[place..<end], at: place)
        case 4: bytes.removeLast(min(bytes.count, below(40)))
        case 5:
            // A number of any size.
            var encoder = ByteEncoder()
            encoder.number(UInt64(1) << UInt64(below(64)))
            bytes.replaceSubrange(place..<min(bytes.count, place + 1), with: encoder.bytes)
        case 6: bytes.replaceSubrange(place..<end, with: Array("../..//.".utf8).prefix(end - place))
        case 7:
            let other = seeds[below(seeds.count)]
            let from = below(other.count)
            bytes.replaceSubrange(place..., with: other[from...])
        default: bytes.insert(contentsOf: (0..<below(20)).map { _ in UInt8(truncatingIfNeeded: random.next()) }, at: place)
        }
    }

    // MARK: The corpus

    private static let folder = String(#filePath.dropLast("FuzzTests.swift".count)) + "Corpus"

    private func corpus(of target: FuzzTarget) throws -> [(name: String, bytes: [UInt8])] {
        let names = try TreeReader.names(in: try Descriptor.directory(Self.folder), []).map { String(decoding: $0, as: UTF8.self) }
        return try names.filter { $0.hasPrefix(target.rawValue + "-") }.map { name in
            let file = FileSource(file: try Descriptor.open("\(Self.folder)/\(name)", O_RDONLY), path: Array(name.utf8))
            let wire = MemoryStream()
            try file.copy(to: wire)
            return (name, wire.bytes)
        }
    }
}
