import Digests
import Glibc
import Testing

@testable import TreeSync

/// Files that several threads write are the files that arrived.
struct FileCrewTests {
    private func withFolder(_ body: (String) throws -> Void) throws {
        let folder = "/tmp/farm-crew-\(getpid())-\(UInt64.random(in: .min ... .max))"
        mkdir(folder, 0o700)
        defer { try? RemoveTree.remove(folder) }
        for number in 0..<7 { mkdir("\(folder)/d\(number)", 0o700) }
        try body(folder)
    }

    private func content(_ index: Int) -> [UInt8] {
        withUnsafeBytes(of: index) { Array($0) } + [UInt8](repeating: 7, count: 40_000 + index % 977)
    }

    private func entry(_ index: Int, _ bytes: [UInt8]) -> TreeEntry {
        TreeEntry(
            path: Array("d\(index / 50)/f\(index)".utf8), mode: 0o640, uid: 0, gid: 0, modified: 7_000_000_000,
            content: .file(FileContent(size: UInt64(bytes.count), digest: Digest.of(bytes))))
    }

    // More together than may wait, so that all of the ways are gone.
    @Test func `many files are written whole, whoever writes them`() throws {
        try withFolder { folder in
            let count = 350
            let told = try FileCrew.with(files: count, directory: folder, lists: nil) { crew in
                let crew = try #require(crew)
                let writer = try TreeWriter(directory: folder)
                for index in 0..<count {
                    let bytes = content(index)
                    try crew.write(entry(index, bytes), bytes, or: writer)
                }
                return count
            }
            #expect(told == count)
            for index in 0..<count {
                let expected = entry(index, content(index))
                let file = try Descriptor.open("\(folder)/\(TreePaths.text(expected.path))", O_RDONLY)
                let (digest, size) = try TreeReader.digest(of: file, expected.path)
                let status = try file.status(expected.path)
                #expect(digest == expected.file?.digest && size == expected.file?.size)
                #expect(status.st_mode & 0o7777 == 0o640 && status.st_mtim.tv_sec == 7)
            }
        }
    }

    @Test(arguments: [0, 200, 349]) func `one wrong file fails the whole, is not there, and keeps nobody waiting`(wrong: Int) throws {
        try withFolder { folder in
            let bytes = content(wrong)
            var damaged = entry(wrong, bytes)
            damaged.content = .file(FileContent(size: UInt64(bytes.count), digest: Digest.of([1])))
            #expect(throws: TreeSyncError.digestMismatch(path: TreePaths.text(damaged.path))) {
                try FileCrew.with(files: 350, directory: folder, lists: nil) { crew in
                    let writer = try TreeWriter(directory: folder)
                    for index in 0..<350 {
                        let bytes = content(index)
                        try crew?.write(index == wrong ? damaged : entry(index, bytes), bytes, or: writer)
                    }
                }
            }
            #expect(access("\(folder)/\(TreePaths.text(damaged.path))", F_OK) != 0)
        }
    }

    @Test func `what arrived before the reader failed is written`() throws {
        struct Cut: Error {}
        try withFolder { folder in
            #expect(throws: Cut.self) {
                try FileCrew.with(files: 350, directory: folder, lists: nil) { crew in
                    let writer = try TreeWriter(directory: folder)
                    for index in 0..<20 {
                        let bytes = content(index)
                        try crew?.write(entry(index, bytes), bytes, or: writer)
                    }
                    throw Cut()
                }
            }
            for index in 0..<20 { #expect(access("\(folder)/d0/f\(index)", F_OK) == 0) }
        }
    }

    @Test func `a few files need no crew`() throws {
        try FileCrew.with(files: 3, directory: "/nowhere", lists: nil) { #expect($0 == nil) }
    }
}
