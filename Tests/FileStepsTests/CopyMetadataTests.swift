import BuildPlan
import CLinux
import Digests
import FileTree
import Glibc
import Testing

@testable import FileSteps

@Suite(.enabled(if: geteuid() == 0, "needs root")) struct CopyMetadataTests {
    private func setTime(_ path: String, _ nanoseconds: Int64) { clinux_set_times(AT_FDCWD, path, nanoseconds, nanoseconds) }

    @Test(arguments: [false, true], [false, true])
    func `Times are kept to the nanosecond of files, links and directories below the destination`(asLayer: Bool, fromStage: Bool) throws {
        let workshop = Workshop(asLayer: asLayer)
        try workshop.make(["s/f = x", "s/l -> f", "s/sub/g = y"], in: "source")
        let old: Int64 = 1_000_000_000_123_456_789
        for name in ["s/f", "s/l", "s/sub/g", "s/sub"] { setTime("\(workshop.path)/source/\(name)", old) }
        _ = try workshop.copy(["s"], to: "/d", fromStage: fromStage)
        for name in ["d/f", "d/l", "d/sub/g", "d/sub"] { #expect(try workshop.status(name)?.modified == old) }
    }

    @Test(arguments: [false, true])
    func `Files of the context are root's and those of a stage keep their owner`(asLayer: Bool) throws {
        let workshop = Workshop(asLayer: asLayer)
        try workshop.make(["s/f = x", "s/l -> f", "s/sub/"], in: "source")
        for name in ["s/f", "s/l", "s/sub"] { lchown("\(workshop.path)/source/\(name)", 12, 34) }
        _ = try workshop.copy(["s"], to: "/context")
        _ = try workshop.copy(["s"], to: "/stage", fromStage: true)
        _ = try workshop.copy(["s"], to: "/owned/by", fromStage: true, owner: "7:8")
        for name in ["f", "l", "sub"] {
            #expect(try workshop.status("context/\(name)").map { [$0.uid, $0.gid] } == [0, 0])
            #expect(try workshop.status("stage/\(name)").map { [$0.uid, $0.gid] } == [12, 34])
            #expect(try workshop.status("owned/by/\(name)").map { [$0.uid, $0.gid] } == [7, 8])
        }
        #expect(try workshop.status("owned").map { [$0.uid, $0.gid] } == [7, 8])
        #expect(try workshop.status("stage").map { [$0.uid, $0.gid] } == [0, 0])
    }

    @Test(arguments: [
        ("1000", [1000, 1000]), ("1000:5", [1000, 5]), ("web", [33, 44]), ("web:staff", [33, 50]), ("web:9", [33, 9]),
        ("1:staff", [1, 50]),
    ])
    func `Owners are numbers or names of the image`(_ owner: String, _ expected: [UInt32]) throws {
        let workshop = Workshop(asLayer: true)
        try workshop.make(["f = x @6755"], in: "source")
        // Lines that make no sense are passed over, also the first one of a name.
        let passwd = "garbage\nweb\nweb:x:no:44::/:\nweb2:x:1:1::/:\nweb:x:33:44::/:\n"
        try workshop.make(["etc/passwd -> /lib/users", "lib/users = \(passwd)", "etc/group = staff:x:50:\n"], in: "image")
        _ = try workshop.copy(["f"], to: "/f", owner: owner)
        let status = try #require(try workshop.status("f"))
        #expect([status.uid, status.gid] == expected)
        #expect(status.mode == 0o6755)
    }

    @Test(arguments: ["nobody-here", "0:nobody-here", ":", "a:", "4294967295", "-1", "99999999999"])
    func `An owner that the image does not have is refused`(_ owner: String) throws {
        let workshop = Workshop(asLayer: true)
        try workshop.make(["f = x"], in: "source")
        #expect(throws: FileStepError.self) { try workshop.copy(["f"], to: "/f", owner: owner) }
    }

    @Test(arguments: [false, true])
    func `A mode that is given holds for files and directories below the destination`(fromStage: Bool) throws {
        let workshop = Workshop(asLayer: true)
        try workshop.make(["s/f = x @600", "s/sub/ @700", "s/l -> f"], in: "source")
        _ = try workshop.copy(["s"], to: "/d", fromStage: fromStage, mode: 0o751)
        #expect(try workshop.image() == ["d/ 755", "d/f 751 x", "d/l -> f", "d/sub/ 751"])
    }

    @Test(arguments: [false, true])
    func `Hard links, attributes, devices, fifos and holes of a stage are kept`(asLayer: Bool) throws {
        let workshop = Workshop(asLayer: asLayer)
        try workshop.make(["s/a = x", "s/z/"], in: "source")
        let source = "\(workshop.path)/source/s"
        #expect(link("\(source)/a", "\(source)/z/b") == 0)
        #expect(mkfifo("\(source)/pipe", 0o600) == 0)
        #expect(mknod("\(source)/null", S_IFCHR | 0o666, 0x103) == 0)
        let capability: [UInt8] = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        #expect(clinux_lsetxattr("\(source)/a", "security.capability", capability, capability.count, 0) == 0)
        let sparse = try FileDescriptor(Array("\(source)/sparse".utf8), flags: O_RDWR | O_CREAT)
        #expect(ftruncate(sparse.number, 64 << 20) == 0)
        lseek(sparse.number, 32 << 20, SEEK_SET)
        try sparse.write(Array("middle".utf8))
        _ = try workshop.copy(["s"], to: "/d", fromStage: true)
        let first = try #require(try workshop.status("d/a"))
        #expect(try workshop.status("d/z/b")?.inode == first.inode)
        #expect(first.links == 2)
        #expect(try workshop.status("d/pipe").map { [$0.kind == .fifo, $0.mode == 0o600] } == [true, true])
        #expect(try workshop.status("d/null")?.representedDevice == 0x103)
        let copied = try #require(try workshop.status("d/sparse"))
        #expect(copied.size == 64 << 20)
        #expect(copied.blocks * 512 < 1 << 20)
        let place = asLayer ? "upper" : "image"
        var value = [UInt8](repeating: 0, count: 64)
        #expect(clinux_lgetxattr("\(workshop.path)/\(place)/d/a", "security.capability", &value, 64) == capability.count)
        let content = try FileDescriptor(Array("\(workshop.path)/\(place)/d/sparse".utf8)).readAll(limit: 65 << 20)
        #expect(content.count == 64 << 20 && Array(content[(32 << 20)..<(32 << 20) + 6]) == Array("middle".utf8))
    }

    @Test func `A new layer has only what was copied and the directories above it as they are below`() throws {
        let workshop = Workshop(asLayer: true)
        try workshop.make(["f = x"], in: "source")
        try workshop.make(["a/b/c/ @1777", "a/b/other = y", "a/other/"], in: "image")
        let below = "\(workshop.path)/image"
        chown("\(below)/a", 5, 6)
        setTime("\(below)/a/b", 5_000_000_000)
        setTime("\(below)/a", 7_000_000_000)
        _ = try workshop.copy(["f"], to: "/a/b/c/")
        let resolver = try RootResolver(path: Array("\(workshop.path)/upper".utf8))
        let names = try resolver.entries(at: []).map { String(decoding: $0.path, as: UTF8.self) }
        #expect(names == ["", "a", "a/b", "a/b/c", "a/b/c/f"])
        let parent = try #require(try workshop.status("a"))
        #expect([parent.uid, parent.gid] == [5, 6])
        #expect(parent.modified == 7_000_000_000)
        #expect(try workshop.status("a/b")?.modified == 5_000_000_000)
        #expect(try workshop.status("a/b/c")?.mode == 0o1777)
    }

    @Test func `Files of earlier layers are linked where everything is equal, copied where not, fetched where there are none`() throws {
        let workshop = Workshop(asLayer: true)
        try workshop.make(["same = 1", "twin = 1", "mode = 2 @600", "new = 3"], in: "source")
        mkdir("\(workshop.path)/earlier", 0o755)
        try workshop.make(["one = 1", "two = 2"], in: "earlier")
        let time: Int64 = 3_000_000_000
        for name in ["source/same", "source/twin", "source/mode", "earlier/one", "earlier/two"] {
            setTime("\(workshop.path)/\(name)", time)
        }
        workshop.local = [
            Digest.of("1"): Array("\(workshop.path)/earlier/one".utf8), Digest.of("2"): Array("\(workshop.path)/earlier/two".utf8),
        ]
        let result = try workshop.copy(["."], to: "/")
        #expect(try workshop.image() == ["mode 600 2", "new 644 3", "same 644 1", "twin 644 1"])
        #expect(result.linkedFiles == 1)
        #expect(result.fetchedBytes == 1)
        #expect(workshop.fetched == [[Digest.of("3")]])
        #expect(try FileStatus.of(Array("\(workshop.path)/earlier/one".utf8))?.links == 2)
        // The second file of that content is one of its own: a layer must not show links that the context does not have.
        #expect(try workshop.status("same")?.inode != workshop.status("twin")?.inode)
        #expect(Set(result.contents.map { String(decoding: $0.path, as: UTF8.self) }) == ["mode", "new", "same", "twin"])
    }

    @Test func `Names that are not UTF-8 are copied`() throws {
        let workshop = Workshop(asLayer: true)
        let name: [UInt8] = [0xFF, 0x80]
        try FileDescriptor(Array("\(workshop.path)/source/".utf8) + name, flags: O_WRONLY | O_CREAT).write([1])
        _ = try workshop.copy(["."], to: "/d")
        #expect(try FileStatus.of(Array("\(workshop.path)/upper/d/".utf8) + name)?.size == 1)
    }

    @Test(arguments: [false, true])
    func `WORKDIR makes what is not there`(asLayer: Bool) throws {
        let workshop = Workshop(asLayer: asLayer)
        try workshop.make(["a/ @700", "l -> /a/../b", "f = x"], in: "image")
        #expect(try DirectoryStep.run(path: "/a", target: workshop.target) == false)
        #expect(try DirectoryStep.run(path: "/l/c", target: workshop.target))
        #expect(throws: FileStepError.notDirectory(path: Array("f".utf8))) { try DirectoryStep.run(path: "/f", target: workshop.target) }
        #expect(throws: FileStepError.self) { try DirectoryStep.run(path: "/f/g", target: workshop.target) }
        #expect(try workshop.image() == ["a/ 700", "b/ 755", "b/c/ 755", "f 644 x", "l -> /a/../b"])
    }
}
