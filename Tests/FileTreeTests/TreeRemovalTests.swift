import CLinux
import FileTree
import Glibc
import Testing

struct TreeRemovalTests {
    @Test(.enabled(if: geteuid() == 0, "needs root"), arguments: ["tmpfs", "bind"])
    func `what is mounted in a directory is not touched`(_ kind: String) throws {
        let directory = "/tmp/farm-removal-\(getpid())-\(UInt64.random(in: .min ... .max))"
        let (tree, other) = ("\(directory)/tree", "\(directory)/other")
        for path in [directory, tree, "\(tree)/a", "\(tree)/a/mount", other] { mkdir(path, 0o700) }
        // Also one of the same file system.
        let mounted =
            kind == "bind" ? mount(other, "\(tree)/a/mount", nil, UInt(MS_BIND), nil) : mount("tmpfs", "\(tree)/a/mount", "tmpfs", 0, nil)
        try #require(mounted == 0)
        defer { umount2("\(tree)/a/mount", Int32(MNT_DETACH)) }
        close(open("\(tree)/a/mount/file", O_WRONLY | O_CREAT, 0o600))
        #expect(throws: FileTreeError.self) { try TreeRemoval.remove(tree) }
        #expect(access("\(tree)/a/mount/file", F_OK) == 0)
        #expect(umount2("\(tree)/a/mount", 0) == 0)
        try TreeRemoval.remove(directory)
        #expect(access(directory, F_OK) != 0)
    }
}
