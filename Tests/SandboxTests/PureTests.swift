import Foundation
import Testing

@testable import Sandbox

struct UserDatabaseTests {
    private let database = UserDatabase(
        passwd: Array("root:x:0:0:root:/root:/bin/sh\n\nbroken\nann:x:1000:100::/home/ann\n1234:x:7:7:::\nbad:x:-1:0::/:\n".utf8),
        group: Array("root:x:0:\nusers:x:100:\nmakers:x:2000:ann,bob\nwheel:x:10:root,ann\n".utf8))

    @Test(
        arguments: [
            (nil, 0, 0, [0, 10], "/root"), ("ann", 1000, 100, [100, 2000, 10], "/home/ann"),
            ("1000", 1000, 100, [100, 2000, 10], "/home/ann"),
            ("ann:wheel", 1000, 10, [10], "/home/ann"), ("55", 55, 0, [0], "/"), ("55:66", 55, 66, [66], "/"),
            ("ann:77", 1000, 77, [77], "/home/ann"),
            ("1234", 1234, 0, [0], "/"), ("ann:", 1000, 100, [100, 2000, 10], "/home/ann"),
        ] as [(String?, UInt32, UInt32, [UInt32], String)])
    func `users are found by name and number`(text: String?, uid: UInt32, gid: UInt32, groups: [UInt32], home: String) throws {
        #expect(try database.identity(of: text) == .init(uid: uid, gid: gid, supplementaryGroups: groups, home: home))
    }

    @Test(arguments: ["bob", "bad", "ann:nobody", "99999999999", ""])
    func `names that are not there are refused`(text: String) {
        #expect(throws: SandboxError.self) { try database.identity(of: text) }
    }
}

struct NameResolutionTests {
    @Test(arguments: [
        ("nameserver 127.0.0.53\n", true), ("nameserver 127.0.0.1\nnameserver 1.1.1.1\n", false), ("search a\n", false), ("", false),
    ])
    func `a stub resolver is recognised`(text: String, isStub: Bool) { #expect(NameResolution.isStub(text) == isStub) }

    @Test func `extra hosts may be IPv6`() {
        #expect(NameResolution.hosts(extra: ["a:1.2.3.4", "b:[::2]", "c:::3"]).hasSuffix("1.2.3.4\ta\n::2\tb\n::3\tc\n"))
    }
}

struct MemoryGuardTests {
    @Test(arguments: [
        ("low 0\nhigh 0\nmax 12\noom 1\noom_kill 1\noom_group_kill 0\n", true), ("max 12\noom 0\noom_kill 0\n", false),
        // The whole machine had no memory left, or a single request could not be met.
        ("max 0\noom 0\noom_kill 1\n", false), ("max 3\noom 1\noom_kill 0\n", false), ("", false), ("oom x\noom_kill 1 2\n", false),
    ]) func `memory was exceeded where the limit was reached and a process was ended`(events: String, isExceeded: Bool) {
        #expect(MemoryGuard.isExceeded(events: events) == isExceeded)
    }
}

struct RuntimeSpecTests {
    private func json(_ step: StepSpec, cgroup: String? = "/farm/a") throws -> [String: Any] {
        let spec = RuntimeSpec(
            step: step, identity: .init(uid: 1, gid: 2, supplementaryGroups: [2, 3], home: "/h"), root: "/r", workingDirectory: "/w",
            mounts: [],
            cgroup: cgroup, limits: step.limits, seccomp: SeccompProfile.profile(architecture: "amd64"))
        return try #require(try JSONSerialization.jsonObject(with: JSONEncoder().encode(spec)) as? [String: Any])
    }

    private func namespaces(_ json: [String: Any]) -> [String] {
        let linux = json["linux"] as? [String: Any]
        return (linux?["namespaces"] as? [[String: String]])?.compactMap { $0["type"] } ?? []
    }

    @Test func `the network is the machine's or nobody's`() throws {
        #expect(namespaces(try json(StepSpec(arguments: ["a"]))) == ["pid", "mount", "ipc", "uts", "cgroup"])
        #expect(namespaces(try json(StepSpec(arguments: ["a"], network: .none))).contains("network"))
    }

    @Test func `home and path are added where they are missing`() throws {
        let process = try #require(try json(StepSpec(arguments: ["a"], environment: ["HOME=/x", "B=1"]))["process"] as? [String: Any])
        #expect(process["env"] as? [String] == [RuntimeSpec.defaultPath, "HOME=/x", "B=1"])
    }

    @Test func `limits stand in the resources`() throws {
        var step = StepSpec(arguments: ["a"])
        step.limits.cores = 1.5
        step.limits.memory = 1 << 30
        let resources = try #require((try json(step)["linux"] as? [String: Any])?["resources"] as? [String: Any])
        #expect((resources["cpu"] as? [String: Int])?["quota"] == 150_000)
        #expect((resources["memory"] as? [String: Int])?["limit"] == 1 << 30)
        #expect((try json(step, cgroup: nil)["linux"] as? [String: Any])?["resources"] == nil)
    }

    @Test(arguments: [
        "mount", "unshare", "setns", "bpf", "keyctl", "init_module", "kexec_load", "open_by_handle_at", "io_uring_setup", "clone3",
    ])
    func `calls that reach beyond a container are not allowed`(name: String) { #expect(!SeccompProfile.allowed.contains(name)) }
}

struct RuntimeLogTests {
    @Test(
        arguments: [
            ("executable file `nope` not found in $PATH: No such file or directory", 127),
            ("exec: \"/x\": stat /x: no such file or directory", 127), ("open executable: Permission denied", 126),
            ("exec: \"/etc/passwd\": permission denied", 126), ("mount `proc` to `proc`: Operation not permitted", nil),
        ] as [(String, Int?)])
    func `messages about the command are told from others`(message: String, code: Int?) {
        #expect(RuntimeLog.codeOfCommand(message) == code)
    }

    @Test func `only errors count`() {
        #expect(RuntimeLog.message(in: Array(#"{"msg":"w","level":"warning"}"#.utf8)) == nil)
        #expect(RuntimeLog.message(in: Array("junk\n{\"msg\":\"e\",\"level\":\"error\"}\n".utf8)) == "e")
    }
}

struct RootPathTests {
    @Test func `links lead nowhere but into the root`() throws {
        let folder = try Machine.Folder()
        let root = folder.path
        try Files.makeDirectory(root + "/a")
        symlink("/a", root + "/absolute")
        symlink("../../../a", root + "/a/up")
        symlink("loop", root + "/loop")
        #expect(try RootPath.resolve("/absolute/x/../y", in: root) == "/a/y")
        #expect(try RootPath.resolve("absolute/up/z", in: root) == "/a/z")
        #expect(try RootPath.resolve("/../..", in: root) == "/")
        #expect(throws: SandboxError.self) { try RootPath.resolve("/loop/x", in: root) }
    }
}
