import BuildPlan
import Digests
import FileTree
import Glibc
import OCI
import Testing

@testable import FileSteps

@Suite(.enabled(if: geteuid() == 0, "needs root")) struct AddTests {
    /// A workshop with `inner/f`, a link in it, and a tar of that as `source/a.tar`, whatever the name says.
    private func workshop(asLayer: Bool = false) throws -> Workshop {
        let workshop = Workshop(asLayer: asLayer)
        mkdir("\(workshop.path)/inner", 0o755)
        try workshop.make(["dir/f = packed @640", "dir/l -> f"], in: "inner")
        chown("\(workshop.path)/inner/dir/f", 12, 34)
        let file = try FileDescriptor(Array("\(workshop.path)/source/a.txt".utf8), flags: O_WRONLY | O_CREAT)
        _ = try LayerArchive.write(directory: "\(workshop.path)/inner", form: .plain, to: file)
        return workshop
    }

    @Test(arguments: [false, true])
    func `A local archive is unpacked into the destination, which becomes a directory`(fromStage: Bool) throws {
        let workshop = try workshop()
        try workshop.make(["plain = text"], in: "source")
        _ = try workshop.copy(["a.txt", "plain"], to: "/d/", fromStage: fromStage, add: true)
        #expect(try workshop.image() == ["d/ 755", "d/dir/ 755", "d/dir/f 640 packed", "d/dir/l -> f", "d/plain 644 text"])
        #expect(try workshop.status("d/dir/f").map { [$0.uid, $0.gid] } == [12, 34])
    }

    @Test func `An owner that is given holds for what is unpacked`() throws {
        let workshop = try workshop()
        _ = try workshop.copy(["a.txt"], to: "/d", owner: "5:6", add: true)
        for name in ["d", "d/dir", "d/dir/f"] { #expect(try workshop.status(name).map { [$0.uid, $0.gid] } == [5, 6]) }
    }

    @Test(arguments: [false, true])
    func `An archive that is left out is not unpacked and not fetched`(fromStage: Bool) throws {
        let workshop = try workshop()
        try workshop.make(["plain = text"], in: "source")
        workshop.excludes = ["a.txt"]
        _ = try workshop.copy(["*"], to: "/d/", fromStage: fromStage, add: true)
        #expect(try workshop.image() == ["d/ 755", "d/plain 644 text"])
        #expect(workshop.fetched.allSatisfy { $0 == [Digest.of("text")] })
    }

    @Test func `COPY leaves an archive as it is`() throws {
        let workshop = try workshop()
        _ = try workshop.copy(["a.txt"], to: "/d/")
        #expect(try workshop.status("d/a.txt")?.kind == .file)
    }

    @Test func `What is no archive is added as COPY does, and fetched once`() throws {
        let workshop = Workshop(asLayer: false)
        try workshop.make(["f = text", "empty"], in: "source")
        _ = try workshop.copy(["f", "empty"], to: "/d/", add: true)
        #expect(try workshop.image() == ["d/ 755", "d/empty 644 ", "d/f 644 text"])
        #expect(workshop.fetched == [[Digest.of("text")], [Digest.of("")]])
    }

    @Test func `An archive is refused where the root is not mounted`() throws {
        let workshop = try workshop(asLayer: true)
        #expect(throws: FileStepError.archiveNeedsMount(name: Array("a.txt".utf8))) {
            try workshop.copy(["a.txt"], to: "/d/", add: true)
        }
    }

    @Test func `Nothing is left in the scratch directory`() throws {
        let workshop = try workshop()
        _ = try workshop.copy(["a.txt"], to: "/d/", add: true)
        let scratch = try FileDescriptor(Array("\(workshop.path)/scratch".utf8), flags: O_RDONLY | O_DIRECTORY)
        #expect(try DirectoryListing.names(in: scratch).isEmpty)
    }
}
