import BuildPlan
import Testing

@testable import WerfFrontend

@Suite struct MountTests {
    private let three =
        "from: alpine\nmount:\n- {from: build_dir, to: /var/cache/apt}\n- {from: tmp_dir, to: /tmp/x}\n- {fromPath: /srv//data/, to: /data}\n"

    @Test func `tmp_dir is a directory of the image's own build`() throws {
        let run = try stage(three + "shell: {install: make}\n").run("install")
        #expect(run.mounts.contains(Mount(target: "/tmp/x", readOnly: false, kind: .temporary)))
    }

    @Test func `build_dir is a shared volume with werf's own id`() throws {
        let run = try stage(three + "shell: {install: make}\n").run("install")
        #expect(
            run.mounts.contains(
                Mount(target: "/var/cache/apt", readOnly: false, kind: .cache(CacheMount(id: "var-cache-apt-cf3c1428", sharing: .shared)))))
    }

    @Test func `fromPath is a path of the agent, cleaned`() throws {
        let run = try stage(three + "shell: {install: make}\n").run("install")
        #expect(run.mounts.contains(Mount(target: "/data", readOnly: false, kind: .host(path: "/srv/data"))))
    }

    @Test(arguments: [
        ("/var/cache/apt", "var-cache-apt-cf3c1428"), ("A", "a-54dcf7ce"), ("da/ta", "da-ta-afa96f8"), ("da_ta", "da-ta-3b339d14"),
        ("-data", "data-a871d86e"), (String(repeating: "x", count: 43), String(repeating: "x", count: 33) + "-27e2f02f"),
    ])
    func `An id is the path in small letters with hyphens, cropped, and a hash`(_ path: String, _ slug: String) {
        #expect(VolumeSlug.slug(path) == slug)
        #expect(VolumeSlug.slug(path).utf8.count <= 42)
    }

    @Test(arguments: [
        ("", UInt32(0)), ("hello", 0x248b_fa47), ("hello, world", 0x149b_bb7f),
        ("The quick brown fox jumps over the lazy dog", 0x2e4f_f723),
    ])
    func `The hash is MurmurHash3 with seed 0`(_ text: String, _ hash: UInt32) { #expect(VolumeSlug.murmur3(Array(text.utf8)) == hash) }

    @Test func `A build_dir depends neither on the image nor on the stage`() throws {
        let plan = try werf("image: [a, b]\nfrom: alpine\nmount: [{from: build_dir, to: /c/}]\nshell: {install: x, setup: y}\n").plan()
        let mounts = try ["a", "b"].flatMap { name in try ["install", "setup"].map { try plan.stage(of: name).run($0).mounts } }
        #expect(Set(mounts).count == 1)
    }

    @Test func `Every shell stage has all mounts, read-write`() throws {
        let stage = try stage(three + "shell: {beforeInstall: a, install: b, beforeSetup: c, setup: d}\n")
        for name in ["beforeInstall", "install", "beforeSetup", "setup"] {
            let mounts = try stage.run(name).mounts
            #expect(mounts.map(\.target) == ["/data", "/tmp/x", "/var/cache/apt"])
            #expect(mounts.allSatisfy { !$0.readOnly })
        }
    }

    @Test func `Mount points are emptied on the from stage, before anything else`() throws {
        let stage = try stage(three + "shell: {install: make}\n")
        #expect(stage.steps[0].operation == .emptyDirectories(paths: ["/data", "/tmp/x", "/var/cache/apt"]))
        #expect(stage.stepNames[0] == "[app/from]")
    }

    @Test func `Of mount points in each other the outer one is emptied, and mounted first`() throws {
        let stage = try stage(
            "from: a\nmount:\n- {from: tmp_dir, to: /a/b}\n- {from: build_dir, to: /a}\n- {from: tmp_dir, to: /ab}\nshell: {setup: x}\n")
        #expect(
            stage.steps[0].operation == .emptyDirectories(paths: ["/ab", "/a"])
                || stage.steps[0].operation == .emptyDirectories(paths: ["/a", "/ab"]))
        let targets = try stage.run("setup").mounts.map(\.target)
        #expect(try #require(targets.firstIndex(of: "/a")) < #require(targets.firstIndex(of: "/a/b")))
    }

    @Test func `Without mounts there is no from step`() throws {
        #expect(try stage("from: alpine\nshell: {install: x}\n").stepNames == ["[app/install]"])
    }

    @Test func `The mounts go into labels with werf's names and formats`() throws {
        let labels = try stage(
            "from: a\nmount:\n- {from: tmp_dir, to: /t2}\n- {from: tmp_dir, to: /t1/}\n- {from: build_dir, to: /b}\n- {fromPath: /srv/my-data, to: /d}\n- {fromPath: /srv/my-data, to: /e}\n"
        ).config.labels
        #expect(
            labels == [
                "werf-mount-type-tmp-dir": "/t2;/t1", "werf-mount-type-build-dir": "/b",
                "werf-mount-type-custom-dir---srv--my-data": "/d;/e",
            ])
    }

    @Test func `Labels of a base image mount here too, are emptied, merged and handed on`() throws {
        let base = baseImage("alpine") {
            $0.labels = [
                "werf-mount-type-build-dir": "/var/cache/apt;/go", "werf-mount-type-tmp-dir": "/t", "other": "x",
                "werf-mount-type-custom-dir---srv--data": "/data",
            ]
        }
        let stage = try stage("from: alpine\nmount:\n- {from: build_dir, to: /pip}\nshell: {install: x}\n", bases: [base])
        #expect(stage.steps[0].operation == .emptyDirectories(paths: ["/t", "/go", "/pip", "/data", "/var/cache/apt"]))
        let mounts = try stage.run("install").mounts
        #expect(mounts.first { $0.target == "/data" }?.kind == .host(path: "/srv/data"))
        #expect(mounts.first { $0.target == "/t" }?.kind == .temporary)
        #expect(mounts.first { $0.target == "/go" }?.kind == .cache(CacheMount(id: VolumeSlug.slug("/go"))))
        #expect(
            stage.config.labels == [
                "werf-mount-type-build-dir": "/var/cache/apt;/go;/pip", "werf-mount-type-tmp-dir": "/t", "other": "x",
                "werf-mount-type-custom-dir---srv--data": "/data",
            ])
    }

    @Test func `An image of the file hands its mounts on to those that stand on it`() throws {
        let plan = try werf(
            "image: base\nfrom: alpine\nmount: [{from: build_dir, to: /b}]\n",
            "image: app\nfrom: base\nmount: [{from: tmp_dir, to: /t}]\nshell: {setup: x}\n"
        ).plan(["app"])
        let stage = try plan.stage(of: "app")
        #expect(try stage.run("setup").mounts.map(\.target) == ["/b", "/t"])
        #expect(stage.config.labels == ["werf-mount-type-build-dir": "/b", "werf-mount-type-tmp-dir": "/t"])
    }

    @Test func `Where an image mounts on a target of its base, its own mount counts`() throws {
        let base = baseImage("alpine") { $0.labels = ["werf-mount-type-build-dir": "/c;/d"] }
        let stage = try stage("from: alpine\nmount: [{from: tmp_dir, to: /c}]\nshell: {setup: x}\n", bases: [base])
        #expect(try stage.run("setup").mounts.map(\.kind) == [.cache(CacheMount(id: VolumeSlug.slug("/d"))), .temporary])
        #expect(stage.config.labels == ["werf-mount-type-build-dir": "/d", "werf-mount-type-tmp-dir": "/c"])
    }

    @Test(arguments: [
        ["werf-mount-type-build-dir": "/"], ["werf-mount-type-custom-dir-relative": "/x"],
        ["werf-mount-type-tmp-dir": (0...200).map { "/t\($0)" }.joined(separator: ";")],
    ])
    func `A base image whose labels make no sense is refused`(_ labels: [String: String]) {
        let base = baseImage("alpine") { $0.labels = labels }
        let error = #expect(throws: WerfError.self) { try werf("image: app\nfrom: alpine\n").plan(bases: [base]) }
        #expect(error?.line == 5)
    }

    @Test func `Labels never lead out: each target is cleaned from the root`() throws {
        let base = baseImage("alpine") { $0.labels = ["werf-mount-type-build-dir": "../../etc/x;b"] }
        #expect(try stage("from: alpine\nshell: {setup: x}\n", bases: [base]).run("setup").mounts.map(\.target) == ["/b", "/etc/x"])
    }

    @Test func `A stage's key has each mount's kind, target and host path, and nothing of the contents`() throws {
        func key(_ mount: String) throws -> String {
            let stage = try stage("from: alpine\nmount: [\(mount)]\nshell: {setup: x}\n")
            return try #require(stage.steps.last).key(parent: Chain.empty, platform: amd64, inputs: []).description
        }
        let keys = try [
            "{from: tmp_dir, to: /a}", "{from: build_dir, to: /a}", "{fromPath: /x, to: /a}", "{fromPath: /y, to: /a}",
            "{from: tmp_dir, to: /b}",
        ].map(key)
        #expect(Set(keys).count == keys.count)
        #expect(try key("{fromPath: /x/../y/, to: /a/}") == keys[3])
    }
}
