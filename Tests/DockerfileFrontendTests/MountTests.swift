import BuildPlan
import Testing

@testable import DockerfileFrontend

@Suite struct MountTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let option: String
        let mount: Mount
        var testDescription: String { option }
        init(_ option: String, _ target: String, ro: Bool, _ kind: Mount.Kind) {
            self.option = option
            mount = Mount(target: target, readOnly: ro, kind: kind)
        }
    }

    private static func cache(
        _ id: String, _ sharing: Sharing = .shared, mode: UInt16 = 0o755, uid: UInt32 = 0, gid: UInt32 = 0, seed: TreeSelection? = nil
    ) -> Mount.Kind {
        .cache(CacheMount(id: id, sharing: sharing, mode: mode, uid: uid, gid: gid, seed: seed))
    }

    private static func mounts(_ options: String) throws -> [Mount] {
        let stage = try target(
            "FROM scratch AS other\nFROM base\nWORKDIR /work/dir\nARG arg=value\nENV env=/path num=12\nRUN \(options) true",
            images: [baseImage("base")])
        guard case .run(let run) = stage.steps.last?.operation else { return [] }
        return run.mounts
    }

    @Test(
        "A mount's options mean what BuildKit's users expect",
        arguments: [
            Case("type=bind,target=/a", "/a", ro: true, .bind(from: .context, source: "")),
            Case("target=/a", "/a", ro: true, .bind(from: .context, source: "")),
            Case("dst=/a", "/a", ro: true, .bind(from: .context, source: "")),
            Case("destination=/a", "/a", ro: true, .bind(from: .context, source: "")),
            Case("TYPE=BIND,Target=/a", "/a", ro: true, .bind(from: .context, source: "")),
            Case("target=a/b", "/work/dir/a/b", ro: true, .bind(from: .context, source: "")),
            Case("target=.", "/work/dir", ro: true, .bind(from: .context, source: "")),
            Case("target=../x", "/work/x", ro: true, .bind(from: .context, source: "")),
            Case("target=/a//b/../c/", "/a/c", ro: true, .bind(from: .context, source: "")),
            Case("target=/a,source=s", "/a", ro: true, .bind(from: .context, source: "s")),
            Case("target=/a,src=/s/t/", "/a", ro: true, .bind(from: .context, source: "s/t")),
            Case("target=/a,src=../../etc", "/a", ro: true, .bind(from: .context, source: "etc")),
            Case("target=/a,src=.", "/a", ro: true, .bind(from: .context, source: "")),
            Case("target=/a,rw", "/a", ro: false, .bind(from: .context, source: "")),
            Case("target=/a,readwrite", "/a", ro: false, .bind(from: .context, source: "")),
            Case("target=/a,rw=true", "/a", ro: false, .bind(from: .context, source: "")),
            Case("target=/a,rw=false", "/a", ro: true, .bind(from: .context, source: "")),
            Case("target=/a,ro", "/a", ro: true, .bind(from: .context, source: "")),
            Case("target=/a,readonly=0", "/a", ro: false, .bind(from: .context, source: "")),
            Case("target=/a,ro,rw", "/a", ro: false, .bind(from: .context, source: "")),
            Case("target=/a,rw,ro", "/a", ro: true, .bind(from: .context, source: "")),
            Case("target=/a,from=other", "/a", ro: true, .bind(from: .stage(0), source: "")),
            Case("target=/a,from=OTHER,src=x", "/a", ro: true, .bind(from: .stage(0), source: "x")),
            Case("target=/a,from=0", "/a", ro: true, .bind(from: .stage(0), source: "")),
            Case("target=/a,from=img:1", "/a", ro: true, .bind(from: .image("img:1"), source: "")),
            Case("target=${env}/$arg", "/path/value", ro: true, .bind(from: .context, source: "")),
            Case("target=/a,src=$arg/${unset:-d}", "/a", ro: true, .bind(from: .context, source: "value/d")),
            Case("type=$kind${x:-bind},target=/a", "/a", ro: true, .bind(from: .context, source: "")),
            Case("type=cache,target=/a", "/a", ro: false, cache("/a")),
            Case("type=cache,target=a/../b", "/work/dir/b", ro: false, cache("b")),
            Case("type=cache,target=./b/", "/work/dir/b", ro: false, cache("b")),
            Case("type=cache,target=/a/,id=go", "/a", ro: false, cache("go")),
            Case("type=cache,target=/a,id=$arg-$num", "/a", ro: false, cache("value-12")),
            Case("type=cache,target=/a,id=", "/a", ro: false, cache("/a")),
            Case("type=cache,target=/a,ro", "/a", ro: true, cache("/a")),
            Case("type=cache,target=/a,sharing=shared", "/a", ro: false, cache("/a")),
            Case("type=cache,target=/a,sharing=private", "/a", ro: false, cache("/a", .private)),
            Case("type=cache,target=/a,sharing=LOCKED", "/a", ro: false, cache("/a", .locked)),
            Case("type=cache,target=/a,mode=0700", "/a", ro: false, cache("/a", mode: 0o700)),
            Case("type=cache,target=/a,mode=1777", "/a", ro: false, cache("/a", mode: 0o1777)),
            Case("type=cache,target=/a,uid=1000,gid=$num", "/a", ro: false, cache("/a", uid: 1000, gid: 12)),
            Case(
                "type=cache,target=/a,from=other,source=/s", "/a", ro: false,
                cache("/a", seed: TreeSelection(source: .stage(0), path: "s", wildcards: false))),
            Case(
                "type=cache,target=/a,from=img", "/a", ro: false,
                cache("/a", seed: TreeSelection(source: .image("img"), path: "", wildcards: false))),
            Case("type=tmpfs,target=/a", "/a", ro: false, .tmpfs(size: nil)),
            Case("type=tmpfs,target=t", "/work/dir/t", ro: false, .tmpfs(size: nil)),
            Case("type=tmpfs,target=/a,size=64m", "/a", ro: false, .tmpfs(size: 64 << 20)),
            Case("type=tmpfs,target=/a,size=1GB", "/a", ro: false, .tmpfs(size: 1 << 30)),
            Case("type=tmpfs,target=/a,size=10kib", "/a", ro: false, .tmpfs(size: 10 << 10)),
            Case("type=tmpfs,target=/a,size=1.5g", "/a", ro: false, .tmpfs(size: 3 << 29)),
            Case("type=tmpfs,target=/a,size=4096", "/a", ro: false, .tmpfs(size: 4096)),
            Case("type=tmpfs,target=/a,size=100b", "/a", ro: false, .tmpfs(size: 100)),
            Case("size=1k,target=/a,type=tmpfs", "/a", ro: false, .tmpfs(size: 1024)),
            Case("type=tmpfs,target=/a,ro", "/a", ro: true, .tmpfs(size: nil)),
            Case("type=secret,id=key", "/run/secrets/key", ro: true, .secret(SecretMount(id: "key"))),
            Case("type=secret,id=a/b", "/run/secrets/b", ro: true, .secret(SecretMount(id: "a/b"))),
            Case("type=secret,source=key", "/run/secrets/key", ro: true, .secret(SecretMount(id: "key"))),
            Case("type=secret,target=/etc/token", "/etc/token", ro: true, .secret(SecretMount(id: "token"))),
            Case("type=secret,id=$arg,dst=t/u", "/t/u", ro: true, .secret(SecretMount(id: "value"))),
            Case("type=secret,id=k,required", "/run/secrets/k", ro: true, .secret(SecretMount(id: "k", required: true))),
            Case("type=secret,id=k,required=false,ro", "/run/secrets/k", ro: true, .secret(SecretMount(id: "k"))),
            Case(
                "type=secret,id=k,env=KEY", "/run/secrets/k", ro: true, .secret(SecretMount(id: "k", variable: "KEY", isFile: false))),
            Case("type=secret,id=k,env=KEY,target=/k", "/k", ro: true, .secret(SecretMount(id: "k", variable: "KEY"))),
            Case(
                "type=secret,id=k,mode=0440,uid=$num,gid=5", "/run/secrets/k", ro: true,
                .secret(SecretMount(id: "k", mode: 0o440, uid: 12, gid: 5))),
        ])
    func options(example: Case) throws { #expect(try Self.mounts("--mount=\(example.option)") == [example.mount]) }

    @Test("A quoted field may hold a comma")
    func quotedField() throws {
        #expect(try Self.mounts("--mount='\"target=/a,b\"'").map(\.target) == ["/a,b"])
        #expect(try Self.mounts("--mount='\"target=/a\"\"b\"\"\"' ").map(\.target) == ["/ab"])
    }

    @Test(
        "A mount that can't be made says why",
        arguments: [
            ("type=ssh", "--mount=type=ssh is not built yet"), ("type=secret", "a secret needs 'id' or 'target'"),
            ("type=secret,env=X", "a secret needs 'id' or 'target'"), ("type=secret,id=..", "id=.. makes no file name: give a 'target'"),
            ("type=secret,id=a,target=/", "the target can't be /"), ("type=secret,id=a,env=", "env=: expected the name of a variable"),
            ("type=secret,id=a,env=A=B", "env=A=B: expected the name of a variable"),
            ("type=secret,id=a,required=2", "required=2: expected true or false"),
            ("type=secret,id=a,mode=9", "mode=9: expected octal digits"),
            ("type=secret,id=a,rw", "'readwrite' has no meaning for type secret"),
            ("type=secret,id=a,from=other", "'from' has no meaning for type secret"),
            ("type=cahce,target=/a", "unknown type 'cahce': expected bind, cache, tmpfs or secret (did you mean cache?)"),
            ("type=volume,target=/a", "unknown type 'volume': expected bind, cache, tmpfs or secret"),
            ("type=,target=/a", "unknown type ''"),
            ("type=cache", "'target' is missing"), ("type=cache,target=", "'target' is missing"), ("target=/", "the target can't be /"),
            ("target=/a/..", "the target can't be /"), ("target=../..", "the target can't be /"), ("target=$unset", "'target' is missing"),
            ("tarhet=/a", "unknown key 'tarhet' (did you mean target?)"),
            ("target=/a,soruce=x", "unknown key 'soruce' (did you mean source?)"),
            ("target=/a,zzzzzzzz=1", "unknown key 'zzzzzzzz'"), ("target=/a,", "unknown key ''"),
            ("target", "'target' needs a value: expected target=…"),
            ("target=/a,from=$x", "variables are not expanded in 'from'"), ("target=/a,from=${x}", "variables are not expanded in 'from'"),
            ("target=/a,from=", "'from' is empty"), ("target=/a,from=7", "there is no stage 7: expected one of other, 1"),
            ("target=/a,from=scratch", "from scratch: there is nothing in it to read"),
            ("target=/a,size=1m", "'size' has no meaning for type bind"),
            ("target=/a,sharing=locked", "'sharing' has no meaning for type bind"), ("target=/a,id=x", "'id' has no meaning for type bind"),
            ("target=/a,mode=0700", "'mode' has no meaning for type bind"), ("target=/a,uid=1", "'uid' has no meaning for type bind"),
            ("target=/a,required", "'required' has no meaning for type bind"),
            ("type=tmpfs,target=/a,from=other", "'from' has no meaning for type tmpfs"),
            ("type=tmpfs,target=/a,source=x", "'source' has no meaning for type tmpfs"),
            ("type=tmpfs,target=/a,mode=0700", "'mode' has no meaning for type tmpfs"),
            ("type=cache,target=/a,size=1m", "'size' has no meaning for type cache"),
            ("type=cache,target=/a,env=X", "'env' has no meaning for type cache"),
            ("type=cache,target=/a,source=x", "'source' of a cache needs 'from'"),
            ("type=cache,target=/a,sharing=lokced", "sharing=lokced: expected shared, private or locked (did you mean locked?)"),
            ("type=cache,target=/a,mode=9", "mode=9: expected octal digits"),
            ("type=cache,target=/a,mode=10000", "mode=10000: expected octal digits"),
            ("type=cache,target=/a,mode=u+x", "mode=u+x: expected octal digits"),
            ("type=cache,target=/a,mode=", "mode=: expected octal digits"),
            ("type=cache,target=/a,uid=root", "uid=root: expected a number"), ("type=cache,target=/a,uid=-1", "uid=-1: expected a number"),
            ("type=cache,target=/a,gid=4294967295", "gid=4294967295: expected a number"),
            ("target=/a,ro=maybe", "readonly=maybe: expected true or false"),
            ("target=/a,rw=2", "readwrite=2: expected true or false"),
            ("type=tmpfs,target=/a,size=big", "size=big: expected a size like 64m or 1g"),
            ("type=tmpfs,target=/a,size=-1", "size=-1: expected a size"), ("type=tmpfs,target=/a,size=99999999999999p", "expected a size"),
            ("type=tmpfs,target=/a,size=1x", "size=1x: expected a size"), ("type=tmpfs,target=/a,size=1.", "expected a size"),
            ("'\"target=/a'", "a quoted field is not closed"), ("'target=\"/a\"'", "a quote inside a field"),
            ("'\"target=/a\"x'", "expected ',' after a quoted field"),
            ("target=${a", "'}' is missing"),
        ])
    func errors(option: String, message: String) {
        #expect { try Self.mounts("--mount=\(option)") } throws: { error in
            let text = "\(error)"
            return text.hasPrefix("Dockerfile:6: ") && text.contains(message)
        }
    }

    @Test("Parents come first, and the last of several mounts on one target counts")
    func order() throws {
        let mounts = try Self.mounts(
            "--mount=target=/a/b/c --mount=type=tmpfs,target=/x --mount=target=/a --mount=target=/a/b,src=old --mount=target=/a/b/,src=new")
        #expect(mounts.map(\.target) == ["/x", "/a", "/a/b", "/a/b/c"])
        #expect(mounts[2].kind == .bind(from: .context, source: "new"))
    }

    @Test("A secret that is only a variable is mounted nowhere and takes no other mount's place")
    func secretVariables() throws {
        let mounts = try Self.mounts("--mount=type=secret,id=k --mount=type=secret,id=k,env=A --mount=type=secret,id=k,env=B")
        #expect(mounts.map(\.isVisible) == [true, false, false])
        #expect(mounts.allSatisfy { $0.target == "/run/secrets/k" })
    }

    @Test("A refused mount in a stage that the target does not need is no error")
    func unneeded() throws {
        let stage = try target("FROM scratch AS a\nRUN --mount=type=ssh true\nFROM scratch\nWORKDIR /a")
        #expect(stage.steps.count == 1)
    }

    @Test("Inputs of a step are its mounts' trees in the order of mounting")
    func inputs() throws {
        let stage = try target(
            "FROM scratch AS s\nFROM b\nRUN --mount=target=/z/y,from=s,src=q --mount=type=cache,target=/c,from=s --mount=type=cache,target=/d --mount=target=/z x"
        )
        #expect(
            stage.steps[0].operation.inputs == [
                TreeSelection(source: .stage(0), path: "", wildcards: false), TreeSelection(source: .context, path: "", wildcards: false),
                TreeSelection(source: .stage(0), path: "q", wildcards: false),
            ])
        #expect(stage.dependencies == [0])
    }
}
