import BlockingIO
import BuildPlan
import Digests
import FileSteps
import FileTree
import Glibc
import Sandbox
import Testing

@testable import FarmAgent

struct SecretMaskTests {
    private func text(_ pieces: [[UInt8]], hiding values: [String]) -> String {
        var decoder = OutputDecoder(mask: SecretMask(values.map { Array($0.utf8) }))
        var text = ""
        for piece in pieces { piece.withUnsafeBytes { text += decoder.text(of: $0) ?? "" } }
        return text + (decoder.finish() ?? "")
    }

    @Test(
        "A secret is hidden wherever output is cut",
        arguments: [
            ("token is hunter2!\n", ["hunter2!\n"], "token is ***\n"), ("hunter2!hunter2!", ["hunter2!"], "******"),
            ("hunter2 and hunt", ["hunter2!"], "hunter2 and hunt"), ("ab", ["ab"], "ab"), ("aaaaab", ["aaaab"], "a***"),
            ("pass-long pass", ["pass", "pass-long"], "*** ***"), ("größe", ["größe"], "***"),
            ("KEY\nfirst-line-of-it\nx\n", ["BEGIN\nfirst-line-of-it\nEND\n"], "KEY\n***\nx\n"), ("plain", [], "plain"),
        ] as [(String, [String], String)])
    func hidden(output: String, values: [String], shown: String) {
        let bytes = Array(output.utf8)
        for cut in 0...bytes.count { #expect(text([Array(bytes[..<cut]), Array(bytes[cut...])], hiding: values) == shown) }
        #expect(text(bytes.map { [$0] }, hiding: values) == shown)
    }
}

struct HostPathsTests {
    private func withFolder(_ body: (String) throws -> Void) throws {
        var template = Array("/tmp/farm-hostpaths-XXXXXX".utf8CString)
        _ = mkdtemp(&template)
        let path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        defer {
            for name in ["in/file", "in/out", "in/up", "in/same", "listed", "in", "other/file", "other"] { remove("\(path)/\(name)") }
            rmdir(path)
        }
        for name in ["in", "other"] { mkdir("\(path)/\(name)", 0o755) }
        for name in ["in/file", "other/file"] { close(open("\(path)/\(name)", O_WRONLY | O_CREAT, 0o644)) }
        symlink("../other", "\(path)/in/out")
        symlink("file", "\(path)/in/same")
        symlink("in", "\(path)/listed")
        try body(path)
    }

    @Test func `what is on the list or below it is given, and stays what it was`() throws {
        try withFolder { path in
            // The list itself may name a link of the operator's.
            for list in ["in", "listed"] {
                let paths = HostPaths(allowed: ["\(path)/\(list)"])
                for name in ["in", "in/file", "in/same", "listed/file"] {
                    let source = try paths.open("\(path)/\(name)")
                    #expect(try FileStatus.of(Array(source.path.utf8)) != nil)
                }
            }
            let source = try HostPaths(allowed: ["\(path)/in"]).open("\(path)/in/file")
            rename("\(path)/in/file", "\(path)/in/up")
            symlink("../other/file", "\(path)/in/file")
            var found = stat()
            var original = stat()
            #expect(stat(source.path, &found) == 0)
            #expect(stat("\(path)/in/up", &original) == 0)
            #expect(found.st_ino == original.st_ino)
        }
    }

    @Test func `what is off the list, or leads out of it, is refused by name, and does not tell what is there`() throws {
        try withFolder { path in
            let paths = HostPaths(allowed: ["\(path)/in"])
            for name in ["other", "other/file", "other/none", "in/out/file", "in/out", "inner", "in/../other/file", ""] {
                let error = #expect(throws: StepFailure.self, "\(name)") { try paths.open("\(path)/\(name)") }
                #expect(error?.message.contains("host-paths") == true, "\(name)")
            }
            let error = #expect(throws: StepFailure.self) { try paths.open("\(path)/in/none") }
            #expect(error?.message.contains("No such file") == true)
        }
    }

    @Test(
        arguments: [("/a", ["/a"]), ("/a/,/b//c", ["/a", "/b/c"]), ("/", ["/"]), ("a", nil), ("/a,b", nil), ("/a/../b", nil), ("", [])]
            as [(String, [String]?)])
    func `the setting takes absolute paths`(text: String, paths: [String]?) { #expect(HostPaths.parse(text) == paths) }
}

struct UpperTests {
    @Test func `what an update hides and empties is so in the mounted root too, above which a command runs`() throws {
        var template = Array("/tmp/farm-upper-XXXXXX".utf8CString)
        _ = mkdtemp(&template)
        let path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        defer { WorkFolder.empty(path); rmdir(path) }
        for name in ["layer", "layer/app", "layer/full", "upper", "work", "below", "scratch"] { mkdir("\(path)/\(name)", 0o755) }
        for name in ["layer/app/old", "layer/app/kept", "layer/full/x"] { close(open("\(path)/\(name)", O_WRONLY | O_CREAT, 0o644)) }
        let below = try Snapshot.mount(layers: ["\(path)/layer"], scratch: "\(path)/below")
        let tree = Removal()
        let target = CopyTarget.layer(below: below.path, upper: "\(path)/upper")
        _ = try RepositoryUpdate([GitMapping(path: "", destination: "/app")], reader: tree, from: tree.old.digest, to: tree.new.digest)
            .run(target: target, contents: tree, linksFiles: false)
        try EmptyDirectoriesStep.run(paths: ["/full"], target: target)
        below.unmount()
        let root = try Snapshot.mount(
            layers: ["\(path)/layer"], scratch: "\(path)/scratch", room: Snapshot.Room(upper: "\(path)/upper", work: "\(path)/work"))
        defer { root.unmount() }
        let names = try RootResolver(path: Array(root.path.utf8)).entries(at: []).map { String(decoding: $0.path, as: UTF8.self) }
        #expect(names == ["", "app", "app/kept", "full"])
    }

    private struct Removal: TreeReader, ContentProvider {
        let old = TreeObject(entries: [
            TreeEntry(name: Array("old".utf8), mode: 0o644, modified: 0, content: .symlink(target: Array("x".utf8)))
        ])
        let new = TreeObject(entries: [])

        func object(_ digest: Digest) throws -> TreeObject { digest == old.digest ? old : new }
        func localFile(_ digest: Digest) -> [UInt8]? { nil }
        func fetch(_ digests: Set<Digest>) throws -> any ByteSource { throw FileTreeError.missingContent(Digest.of("")) }
    }
}
