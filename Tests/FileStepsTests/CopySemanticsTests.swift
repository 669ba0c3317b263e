import BuildPlan
import Digests
import FileTree
import Glibc
import Testing

@testable import FileSteps

/// One COPY: what is there, what it says, what comes of it.
struct CopyCase: Sendable, CustomTestStringConvertible {
    var name: String
    var source: [String]
    var image: [String] = []
    var copy: [String]
    var to: String
    var result: [String]
    var testDescription: String { name }

    static let all: [CopyCase] = [
        CopyCase(name: "a file becomes the destination", source: ["f = x @640"], copy: ["f"], to: "/d", result: ["d 640 x"]),
        CopyCase(
            name: "a file goes into a destination with a slash", source: ["f = x"], copy: ["f"], to: "/d/", result: ["d/ 755", "d/f 644 x"]),
        CopyCase(
            name: "a file goes into a directory that is there", source: ["f = x"], image: ["d/ @700"], copy: ["f"], to: "/d",
            result: ["d/ 700", "d/f 644 x"]),
        CopyCase(
            name: "parents are made 0755", source: ["a/f = x"], copy: ["a/f"], to: "/p/q/r",
            result: ["p/ 755", "p/q/ 755", "p/q/r 644 x"]),
        CopyCase(
            name: "a file replaces a file", source: ["f = x"], image: ["d = old @600"], copy: ["f"], to: "/d", result: ["d 644 x"]),
        CopyCase(
            name: "a file in a directory replaces a link and does not write through it", source: ["f = x"],
            image: ["d/f -> ../kept", "kept = safe"], copy: ["f"], to: "/d/", result: ["d/ 755", "d/f 644 x", "kept 644 safe"]),
        CopyCase(
            name: "a destination that is a link to a file is written where it leads", source: ["f = x"],
            image: ["d -> e/target", "e/target = old"], copy: ["f"], to: "/d", result: ["d -> e/target", "e/ 755", "e/target 644 x"]),
        CopyCase(
            name: "a destination that is a link to a directory is that directory", source: ["f = x"], image: ["d -> e", "e/"],
            copy: ["f"], to: "/d", result: ["d -> e", "e/ 755", "e/f 644 x"]),
        CopyCase(
            name: "a link that leads out of the image leads to its root", source: ["f = x"], image: ["d -> /../../etc", "etc/"],
            copy: ["f"], to: "/d/", result: ["d -> /../../etc", "etc/ 755", "etc/f 644 x"]),
        CopyCase(
            name: "a link to something that is not there makes it", source: ["f = x"], image: ["d -> /new/place"], copy: ["f"],
            to: "/d/", result: ["d -> /new/place", "new/ 755", "new/place/ 755", "new/place/f 644 x"]),
        CopyCase(
            name: "of a directory the contents are copied", source: ["s/f = x", "s/sub/ @700", "s/l -> f"], copy: ["s"], to: "/d",
            result: ["d/ 755", "d/f 644 x", "d/l -> f", "d/sub/ 700"]),
        CopyCase(
            name: "a directory's own mode is not copied", source: ["s/ @700", "s/f = x"], copy: ["s/"], to: "/d/",
            result: ["d/ 755", "d/f 644 x"]),
        CopyCase(
            name: "directories are merged and those below take the source's mode", source: ["s/a/ @711", "s/a/f = new"],
            image: ["d/a/ @700", "d/a/f = old", "d/a/g = kept"], copy: ["s"], to: "/d",
            result: ["d/ 755", "d/a/ 711", "d/a/f 644 new", "d/a/g 644 kept"]),
        CopyCase(
            name: "the whole context goes to the root", source: ["a/f = x", "g = y"], image: ["a/", "b = z"], copy: ["."], to: "/",
            result: ["a/ 755", "a/f 644 x", "b 644 z", "g 644 y"]),
        CopyCase(
            name: "several sources go into a directory", source: ["a = 1", "b = 2", "s/c = 3"], copy: ["a", "b", "s"], to: "/d/",
            result: ["d/ 755", "d/a 644 1", "d/b 644 2", "d/c 644 3"]),
        CopyCase(
            name: "of two sources with one name the later counts", source: ["a/f = 1", "b/f = 2"], copy: ["a/f", "b/f"], to: "/d/",
            result: ["d/ 755", "d/f 644 2"]),
        CopyCase(
            name: "a pattern takes files and contents of directories", source: ["x1 = 1", "x2/f = 2", "y = 3"], copy: ["x*"], to: "/d/",
            result: ["d/ 755", "d/f 644 2", "d/x1 644 1"]),
        CopyCase(name: "a pattern that matches nothing copies nothing", source: ["a = 1"], copy: ["z*"], to: "/d/", result: []),
        CopyCase(
            name: "a source that is a link is followed and keeps its name", source: ["l -> real/f", "real/f = x"], copy: ["l"], to: "/d/",
            result: ["d/ 755", "d/l 644 x"]),
        CopyCase(
            name: "a source below a link to a directory is found", source: ["l -> /real", "real/f = x"], copy: ["l/f"], to: "/d/",
            result: ["d/ 755", "d/f 644 x"]),
        CopyCase(
            name: "a link to a directory as source gives its contents", source: ["l -> real", "real/f = x"], copy: ["l"], to: "/d",
            result: ["d/ 755", "d/f 644 x"]),
        CopyCase(
            name: "setuid bits are kept", source: ["f = x @4755"], copy: ["f"], to: "/f", result: ["f 4755 x"]),
        CopyCase(
            name: "a link in a directory replaces a file", source: ["s/f -> elsewhere"], image: ["d/f = old"], copy: ["s"], to: "/d",
            result: ["d/ 755", "d/f -> elsewhere"]),
    ]
}

/// One COPY that must fail.
struct RefusedCopy: Sendable, CustomTestStringConvertible {
    var name: String
    var source: [String]
    var image: [String]
    var copy: [String]
    var to: String
    var error: FileStepError
    var testDescription: String { name }

    static let all: [RefusedCopy] = [
        RefusedCopy(
            name: "a directory over a file", source: ["s/f = x"], image: ["d = y"], copy: ["s"], to: "/d",
            error: .replacesFile(path: Array("d".utf8))),
        RefusedCopy(
            name: "a directory over a file below", source: ["s/a/f = x"], image: ["d/a = y"], copy: ["s"], to: "/d",
            error: .replacesFile(path: Array("d/a".utf8))),
        RefusedCopy(
            name: "a directory over a link to a directory below", source: ["s/a/f = x"], image: ["d/a -> b", "d/b/"], copy: ["s"], to: "/d",
            error: .replacesFile(path: Array("d/a".utf8))),
        RefusedCopy(
            name: "a file over a directory", source: ["f = x"], image: ["d/f/"], copy: ["f"], to: "/d/",
            error: .replacesDirectory(path: Array("d/f".utf8))),
        RefusedCopy(
            name: "a file into a file", source: ["f = x"], image: ["d = y"], copy: ["f"], to: "/d/",
            error: .notDirectory(path: Array("d".utf8))),
        RefusedCopy(
            name: "a file below a file", source: ["f = x"], image: ["d = y"], copy: ["f"], to: "/d/e/g",
            error: .notDirectory(path: Array("d/e/g".utf8))),
        RefusedCopy(
            name: "a directory over a file of an earlier source", source: ["a/x = 1", "b/x/f = 2"], image: [], copy: ["a", "b"], to: "/d/",
            error: .replacesFile(path: Array("d/x".utf8))),
    ]
}

@Suite(.enabled(if: geteuid() == 0, "needs root")) struct CopySemanticsTests {
    @Test(arguments: CopyCase.all, [(false, false), (false, true), (true, false), (true, true)])
    func `COPY does what BuildKit does`(_ example: CopyCase, _ way: (asLayer: Bool, fromStage: Bool)) throws {
        let workshop = Workshop(asLayer: way.asLayer)
        try workshop.make(example.source, in: "source")
        try workshop.make(example.image, in: "image")
        _ = try workshop.copy(example.copy, to: example.to, fromStage: way.fromStage)
        let image = try workshop.image()
        #expect(image == example.result, "\(image)")
    }

    @Test(arguments: RefusedCopy.all, [false, true])
    func `COPY refuses what can't be merged`(_ example: RefusedCopy, asLayer: Bool) throws {
        let workshop = Workshop(asLayer: asLayer)
        try workshop.make(example.source, in: "source")
        try workshop.make(example.image, in: "image")
        #expect(throws: example.error) { try workshop.copy(example.copy, to: example.to) }
    }

    @Test(arguments: [false, true])
    func `A source that is not there is an error that names it`(fromStage: Bool) throws {
        let workshop = Workshop(asLayer: true)
        #expect(throws: FileTreeError.notFound(path: "gone")) { try workshop.copy(["gone"], to: "/d", fromStage: fromStage) }
    }

    @Test func `A source that leads out of its root stays in it`() throws {
        for fromStage in [false, true] {
            let workshop = Workshop(asLayer: false)
            try workshop.make(["l -> ../../../../../../etc/passwd", "etc/passwd = ours"], in: "source")
            _ = try workshop.copy(["l", "../../etc/passwd"], to: "/d/", fromStage: fromStage)
            #expect(try workshop.image() == ["d/ 755", "d/l 644 ours", "d/passwd 644 ours"])
        }
    }

    @Test func `Excluded names are left out at any depth and among the sources`() throws {
        for fromStage in [false, true] {
            let workshop = Workshop(asLayer: true)
            try workshop.make(["s/a.txt", "s/b.md", "s/sub/c.txt", "s/sub/d.md", "x.txt", "y.md"], in: "source")
            workshop.excludes = ["**/*.txt", "sub/d.md"]
            _ = try workshop.copy(["s", "*.txt", "*.md"], to: "/d/", fromStage: fromStage)
            #expect(try workshop.image() == ["d/ 755", "d/b.md 644 ", "d/sub/ 755", "d/y.md 644 "])
        }
    }

    @Test func `Heredocs are files with mode 0644`() throws {
        let workshop = Workshop(asLayer: true)
        let file = InlineFile(path: "conf", content: "text\n")
        _ = try workshop.run(CopyOperation(sources: [.inline(file)], from: .context, destination: "/etc/x.conf"))
        _ = try workshop.run(CopyOperation(sources: [.inline(file)], from: .context, destination: "/etc/"))
        #expect(try workshop.image() == ["etc/ 755", "etc/conf 644 text\n", "etc/x.conf 644 text\n"])
    }
}
