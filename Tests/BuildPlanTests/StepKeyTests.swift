import Digests
import Testing

@testable import BuildPlan

@Suite struct StepKeyTests {
    private static let parent = Digest.of("parent")
    private static let platform = Platform(os: "linux", architecture: "amd64")

    private static func key(
        _ operation: Operation, parent: Digest = parent, platform: Platform = platform, inputs: [Digest] = [Digest.of("input")]
    ) -> Digest {
        Step(name: "n", operation: operation, lines: 1...1).key(parent: parent, platform: platform, inputs: inputs)
    }

    private static let cacheMount = CacheMount(id: "go")
    private static let run = RunOperation(
        arguments: ["/bin/sh", "-c", "make"], environment: ["A=1", "B=2"], workingDirectory: "/w", user: "me", network: .host,
        mounts: [
            Mount(target: "/c", readOnly: false, kind: .cache(cacheMount)),
            Mount(target: "/b", readOnly: true, kind: .bind(from: .context, source: "src")),
            Mount(target: "/t", readOnly: false, kind: .tmpfs(size: 64)),
        ], files: [InlineFile(path: "/dev/pipes/EOF", content: "#!x")])
    private static let copy = CopyOperation(
        sources: [.tree("a"), .inline(InlineFile(path: "f", content: "text"))], from: .context, destination: "/d/", owner: "1:2",
        mode: 0o644,
        unpacksArchives: false, excludes: ["*.md"])

    struct Change<Value>: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let apply: @Sendable (inout Value) -> Void
        init(_ name: String, _ apply: @escaping @Sendable (inout Value) -> Void) {
            testDescription = name
            self.apply = apply
        }
    }

    @Test(
        "Whatever determines a RUN's result changes its key",
        arguments: [
            Change<RunOperation>("an argument") { $0.arguments[2] = "make all" },
            Change("the division into arguments") { $0.arguments = ["/bin/sh", "-cmake"] },
            Change("one more argument") { $0.arguments.append("") }, Change("a variable") { $0.environment[0] = "A=2" },
            Change("the order of variables") { $0.environment.swapAt(0, 1) },
            Change("a variable moved to the arguments") { $0.arguments.append($0.environment.removeFirst()) },
            Change("the directory") { $0.workingDirectory = "/v" },
            Change("the user") { $0.user = "you" }, Change("no user") { $0.user = nil }, Change("the network") { $0.network = .none },
            Change("no mounts") { $0.mounts = [] },
            Change("the order of mounts") { $0.mounts.swapAt(0, 1) }, Change("a mount's target") { $0.mounts[0].target = "/cc" },
            Change("a mount's readOnly") { $0.mounts[1].readOnly = false },
            Change("a mount's type") { $0.mounts[2].kind = .cache(CacheMount(id: "go")) },
            Change("a tmpfs' size") { $0.mounts[2].kind = .tmpfs(size: 65) },
            Change("a tmpfs without size") { $0.mounts[2].kind = .tmpfs(size: nil) },
            Change("a cache's id") { $0.mounts[0].kind = .cache(CacheMount(id: "rust")) },
            Change("a cache's owner") { $0.mounts[0].kind = .cache(CacheMount(id: "go", uid: 1)) },
            Change("a cache's mode") { $0.mounts[0].kind = .cache(CacheMount(id: "go", mode: 0o700)) },
            Change("a cache's seed") {
                $0.mounts[0].kind = .cache(CacheMount(id: "go", seed: TreeSelection(source: .context, path: "", wildcards: false)))
            },
            Change("a script") { $0.files[0].content = "#!y" }, Change("a script's path") { $0.files[0].path = "/dev/pipes/E" },
            Change("no script") { $0.files = [] },
        ])
    func runChanges(change: Change<RunOperation>) {
        var changed = Self.run
        change.apply(&changed)
        #expect(Self.key(.run(changed)) != Self.key(.run(Self.run)))
    }

    @Test(
        "What does not determine a RUN's result leaves its key",
        arguments: [
            Change<RunOperation>("a cache's sharing") { $0.mounts[0].kind = .cache(CacheMount(id: "go", sharing: .locked)) },
            Change("where a bind mount comes from") { $0.mounts[1].kind = .bind(from: .stage(3), source: "src") },
            Change("the path in the source, since its content is an input") { $0.mounts[1].kind = .bind(from: .context, source: "other") },
            Change("proxies that the build gave") {
                $0.environment += ["http_proxy=p"]
                $0.unkeyedNames = ["http_proxy"]
            },
        ])
    func runKeeps(change: Change<RunOperation>) {
        var changed = Self.run
        change.apply(&changed)
        #expect(Self.key(.run(changed)) == Self.key(.run(Self.run)))
    }

    @Test("A proxy's name hides no other variable from the key")
    func proxyNames() {
        var one = Self.run
        one.environment += ["http_proxy=p", "http_proxy_user=a"]
        one.unkeyedNames = ["http_proxy"]
        var other = one
        other.environment[3] = "http_proxy_user=b"
        #expect(Self.key(.run(one)) != Self.key(.run(other)))
    }

    @Test(
        "Whatever determines a COPY's result changes its key",
        arguments: [
            Change<CopyOperation>("the destination") { $0.destination = "/d" }, Change("the owner") { $0.owner = "2:1" },
            Change("no owner") { $0.owner = nil },
            Change("the mode") { $0.mode = 0o600 }, Change("no mode") { $0.mode = nil }, Change("unpacking") { $0.unpacksArchives = true },
            Change("an exclusion") { $0.excludes = ["*.txt"] },
            Change("no exclusion") { $0.excludes = [] }, Change("a stage as source") { $0.from = .stage(0) },
            Change("a heredoc's text") { $0.sources[1] = .inline(InlineFile(path: "f", content: "t")) },
            Change("a heredoc's name") { $0.sources[1] = .inline(InlineFile(path: "g", content: "text")) },
            Change("the order of sources") { $0.sources.swapAt(0, 1) },
            Change("one source less") { $0.sources.removeLast() },
        ])
    func copyChanges(change: Change<CopyOperation>) {
        var changed = Self.copy
        change.apply(&changed)
        #expect(Self.key(.copy(changed)) != Self.key(.copy(Self.copy)))
    }

    @Test(
        "What does not determine a COPY's result leaves its key",
        arguments: [
            Change<CopyOperation>("the pattern, since the names it selects are in the input") { $0.sources[0] = .tree("b*") }
        ])
    func copyKeeps(change: Change<CopyOperation>) {
        var changed = Self.copy
        change.apply(&changed)
        #expect(Self.key(.copy(changed)) == Self.key(.copy(Self.copy)))
        var stage = Self.copy
        stage.from = .stage(1)
        var image = Self.copy
        image.from = .image("x")
        #expect(Self.key(.copy(stage)) == Self.key(.copy(image)))
    }

    @Test("Parent, platform, inputs and kind enter the key; name and lines don't")
    func surroundings() {
        let operation = Operation.run(Self.run)
        let key = Self.key(operation)
        #expect(Self.key(operation, parent: Digest.of("other")) != key)
        #expect(Self.key(operation, platform: Platform(os: "linux", architecture: "arm64")) != key)
        #expect(Self.key(operation, inputs: []) != key)
        #expect(Self.key(operation, inputs: [Digest.of("other")]) != key)
        #expect(Self.key(operation, inputs: [Digest.of("input"), Digest.of("input")]) != key)
        let renamed = Step(name: "other", operation: operation, lines: 7...9)
        #expect(renamed.key(parent: Self.parent, platform: Self.platform, inputs: [Digest.of("input")]) == key)
        let keys = [operation, .copy(Self.copy), .makeDirectory(path: "/a"), .makeDirectory(path: "/b")].map { Self.key($0) }
        #expect(Set(keys).count == 4)
    }

    @Test("The same key comes out tomorrow: records outlive the program that wrote them")
    func stable() {
        #expect(Self.key(.makeDirectory(path: "/a"), inputs: []).hex == "388261ffc5f2d2db403ac4c79139d9c6695e8e06be2e1c55cd0e4c80284bf192")
    }
}
