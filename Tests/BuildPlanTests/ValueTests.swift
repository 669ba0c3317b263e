import Digests
import Testing

@testable import BuildPlan

@Suite struct ValueTests {
    @Test(
        "Paths are cleaned as Go does it",
        arguments: [
            ("", "."), (".", "."), ("/", "/"), ("a", "a"), ("a/", "a"), ("a//b", "a/b"), ("./a", "a"), ("a/.", "a"), ("a/..", "."),
            ("a/../b", "b"), ("../a", "../a"),
            ("a/../../b", "../b"), ("../..", "../.."), ("/..", "/"), ("/../a", "/a"), ("/a/../..", "/"), ("//a", "/a"),
            ("a/b/../c/./d", "a/c/d"), ("..a", "..a"), ("a/\u{301}b", "a/\u{301}b"), ("/a/../\u{301}x", "/\u{301}x"),
            ("/..\u{301}", "/..\u{301}"),
        ])
    func clean(path: String, result: String) {
        #expect(CleanPath.clean(path).utf8.elementsEqual(result.utf8))
        #expect(CleanPath.clean(result) == result)
    }

    @Test(
        "No path leads out of the root",
        arguments: [("../../etc", "etc"), ("/a", "a"), ("", ""), (".", ""), ("..", ""), ("a/../../b", "b"), ("a/b/", "a/b")])
    func relativeToRoot(path: String, result: String) { #expect(CleanPath.relativeToRoot(path) == result) }

    @Test(
        "A relative path joins a directory",
        arguments: [("/w", "a", "/w/a"), ("/w", "/a", "/a"), ("/w", "..", "/"), ("/w", "", "/w"), ("/", "a", "/a"), ("/w", ".", "/w")])
    func join(directory: String, path: String, result: String) { #expect(CleanPath.join(directory, path) == result) }

    @Test(
        "Platforms",
        arguments: [
            ("linux/amd64", "linux/amd64"), ("linux/arm/v7", "linux/arm/v7"), ("Linux/X86_64", "linux/amd64"),
            ("linux/aarch64", "linux/arm64"), ("linux", nil), ("", nil), ("linux/", nil),
            ("linux/a/b/c", nil), ("linux/am d64", nil), ("/amd64", nil),
        ] as [(String, String?)])
    func platforms(text: String, result: String?) { #expect(Platform(text)?.description == result) }

    @Test("Environment variables are set where they stand, whatever their value begins with")
    func environment() {
        var config = ImageConfig()
        config.setEnvironment("A", "\u{301}x")
        config.setEnvironment("B", "2")
        config.setEnvironment("A", "3")
        config.setEnvironment("AA", "")
        #expect(config.env == ["A=3", "B=2", "AA="])
        #expect(config.environment("A") == "3")
        #expect(config.environment("AA")?.isEmpty == true)
        #expect(config.environment("C") == nil)
    }

    @Test("Chains are OCI's chain IDs")
    func chains() {
        let a = LayerDescriptor(diffID: Digest.of("a"), size: 1)
        let b = LayerDescriptor(diffID: Digest.of("b"), size: 2)
        #expect(Chain.id(of: [LayerDescriptor]()) == Chain.empty)
        #expect(Chain.id(of: [a]) == a.diffID)
        #expect(Chain.id(of: [a, b]) == Digest.of("\(a.diffID) \(b.diffID)"))
        #expect(Chain.id(of: [b, a]) != Chain.id(of: [a, b]))
    }

    @Test(
        "Times are read and written as RFC 3339",
        arguments: [
            ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z"), ("2026-11-21T14:30:05.25Z", "2026-11-21T14:30:05.25Z"),
            ("2024-02-29T23:59:59.000000001Z", "2024-02-29T23:59:59.000000001Z"),
            ("2026-01-01T00:30:00+01:00", "2025-12-31T23:30:00Z"), ("1969-12-31T23:59:59.5Z", "1969-12-31T23:59:59.5Z"),
            ("2026-01-01t00:00:00z", "2026-01-01T00:00:00Z"), ("2026-13-01T00:00:00Z", nil),
            ("2026-01-01 00:00:00Z", nil), ("2026-01-01T00:00:00", nil), ("2026-01-01T00:00:00.Z", nil), ("9999-01-01T00:00:00Z", nil),
            ("", nil),
        ] as [(String, String?)])
    func times(text: String, result: String?) { #expect(Timestamp(text)?.description == result) }

    @Test("A mount's volume has its own id for each owner and mode")
    func volumeIDs() {
        #expect(CacheMount(id: "a").volumeID == "a")
        let others = [CacheMount(id: "a", mode: 0o700), CacheMount(id: "a", uid: 1), CacheMount(id: "a", gid: 1)].map(\.volumeID)
        #expect(Set(others + ["a"]).count == 4)
    }
}
