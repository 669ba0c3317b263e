import Digests
import Testing
import TreeSync

@testable import Volumes

struct VolumeStateTests {
    private func entry(_ path: String, _ content: TreeEntry.Content) -> TreeEntry {
        TreeEntry(path: Array(path.utf8), mode: 0o755, uid: 0, gid: 0, modified: 0, content: content)
    }

    private func large(_ path: String, _ text: String) -> TreeEntry {
        entry(path, .file(FileContent(size: 1 << 30, digest: Digest.of(text))))
    }

    @Test func `large files are followed through changes, deletions and directories in their place`() throws {
        var state = VolumeState(key: .test(), boot: "")
        let names = ["a", "b", "c", "d", "e"]
        state.noteLargeFiles(of: try DeltaManifest(puts: [entry("", .directory)] + names.map { large($0, $0) }, deletions: []))
        #expect(state.wantedSpares.map(\.path) == names.map { Array($0.utf8) })
        let puts = [
            entry("", .directory), large("a", "new"), entry("c", .directory), large("c/d", "inside"), entry("d", .symlink(target: [1])),
        ]
        state.noteLargeFiles(of: try DeltaManifest(puts: puts, deletions: [Array("b".utf8)]))
        #expect(
            Dictionary(uniqueKeysWithValues: state.wantedSpares.map { (TreePaths.text($0.path), $0.digest) })
                == ["a": Digest.of("new"), "c/d": Digest.of("inside"), "e": Digest.of("e")])
    }
}
