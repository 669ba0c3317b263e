import BuildPlan
import Digests
import Glibc
import Testing

@testable import FileTree

@Suite("What COPY leaves out does not count")
struct ExcludedInputTests {
    private typealias Memory = TreeSelectorTests.Memory

    private func step(_ excludes: [String]) -> Step {
        Step(
            name: "COPY",
            operation: .copy(CopyOperation(sources: [.tree("d"), .tree("*.md")], from: .context, destination: "/", excludes: excludes)),
            lines: 1...1)
    }

    private func key(_ step: Step, _ paths: [String]) throws -> Digest {
        let selector = Memory(paths).selector
        return step.key(
            parent: Chain.empty, platform: Platform(os: "linux", architecture: "amd64"),
            inputs: try step.operation.inputs.map { try selector.digest(of: $0) })
    }

    @Test func `A file that is left out does not change the step's key`() throws {
        let without = ["d/f", "d/sub/g", "x.md"]
        let with = without + ["d/f.log", "d/sub/h.log", "log.md"]
        let excluding = step(["**/*.log", "log.md"])
        #expect(try key(excluding, with) == key(excluding, without))
        #expect(try key(excluding, with) != key(excluding, with + ["d/new"]))
        #expect(try key(step([]), with) != key(step([]), without))
    }

    @Test func `The content of a file that is left out is not asked for`() throws {
        let selector = Memory(["d/f", "d/f.log", "x.md", "log.md"]).selector
        var all: Set<Digest> = []
        for input in step(["*.log", "log.md"]).operation.inputs { all.formUnion(try selector.closure(of: input).contents.keys) }
        #expect(all == [Digest.of("d/f"), Digest.of("x.md")])
    }

    @Test func `A path where nothing is fails, and one where all is left out does not`() throws {
        let selector = Memory(["d/f.log"]).selector
        #expect(throws: FileTreeError.notFound(path: "*.md")) {
            try selector.digest(of: TreeSelection(source: .context, path: "*.md", wildcards: true, excludes: ["*"]))
        }
        _ = try selector.digest(of: TreeSelection(source: .context, path: "d/f.log", wildcards: true, excludes: ["*.log"]))
    }

    @Test(.enabled(if: geteuid() == 0, "needs root")) func `The same holds for stages`() throws {
        let part = TreeSelection(source: .stage(0), path: "d", wildcards: true, excludes: ["*.log"])
        let scratch = Scratch()
        try scratch.file("d/f", "x")
        let before = try RootSelector(path: scratch.path).digest(of: part)
        try scratch.file("d/a.log", "x")
        #expect(try RootSelector(path: scratch.path).digest(of: part) == before)
        try scratch.file("d/g", "x")
        #expect(try RootSelector(path: scratch.path).digest(of: part) != before)
    }
}
