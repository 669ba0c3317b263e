import BlockingIO
import Glibc
import Testing

@testable import TreeSync

/// Old versions of files that are no longer in memory when they are needed.
@Suite(.timeLimit(.minutes(1)))
struct ReadAheadTests {
    private static let size = 3 * 4096

    /// A file system on a disk: what tests have in memory can't be put out of it.
    private func withFiles(_ count: Int, _ body: (_ directory: String, _ paths: [TreePath]) async throws -> Void) async throws {
        let directory = "/var/tmp/farm-read-ahead-\(getpid())-\(UInt64.random(in: .min ... .max))"
        try #require(mkdir(directory, 0o700) == 0)
        defer { try? RemoveTree.remove(directory) }
        let paths = (0..<count).map { Array("file-\($0)".utf8) }
        for path in paths {
            let file = open("\(directory)/\(String(decoding: path, as: UTF8.self))", O_WRONLY | O_CREAT, 0o600)
            defer { close(file) }
            try #require(pwrite(file, Array(repeating: 1, count: Self.size), Self.size, 0) == Self.size && fsync(file) == 0)
            posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED)
        }
        try await body(directory, paths)
    }

    /// Whether the kernel has the file in memory; does not touch it.
    private func isCached(_ directory: String, _ path: TreePath) -> Bool {
        let file = open("\(directory)/\(String(decoding: path, as: UTF8.self))", O_RDONLY)
        defer { close(file) }
        guard let map = mmap(nil, Self.size, PROT_READ, MAP_SHARED, file, 0), map != MAP_FAILED else { return false }
        defer { munmap(map, Self.size) }
        var pages = [UInt8](repeating: 0, count: Self.size / 4096)
        return mincore(map, Self.size, &pages) == 0 && pages.allSatisfy { $0 & 1 == 1 }
    }

    @Test func `files that are not in memory are read before anybody asks, one that is missing left out`() async throws {
        try await withFiles(40) { directory, paths in
            guard !paths.contains(where: { isCached(directory, $0) }) else { return }
            try GenerationFiles(layers: [directory]).readAhead([Array("gone".utf8)] + paths, Interruption())
            while !paths.allSatisfy({ isCached(directory, $0) }) { try await Task.sleep(for: .milliseconds(1)) }
        }
    }

    @Test func `nothing is read for who has stopped`() async throws {
        try await withFiles(4) { directory, paths in
            guard !paths.contains(where: { isCached(directory, $0) }) else { return }
            let interruption = Interruption()
            interruption.interrupt()
            try GenerationFiles(layers: [directory]).readAhead(paths, interruption)
            #expect(!paths.contains { isCached(directory, $0) })
        }
    }
}
