import Foundation
import Glibc
import Testing

@testable import Sandbox

@Suite(.enabled(if: Machine.canRun, "needs root and busybox-static"), .timeLimit(.minutes(2)))
struct StepMountTests {
    private func source(_ bench: Bench) throws -> String {
        let source = bench.folder.path + "/source"
        try Files.makeDirectory(source)
        try Files.write(Array("hello\n".utf8), to: source + "/file")
        return source
    }

    @Test func `a read-only bind is seen, can't be written and leaves no trace`() async throws {
        let bench = try Bench()
        let source = try source(bench)
        let result = try await bench.shell("cat /in/deep/file; touch /in/deep/x 2> /dev/null || echo refused") {
            $0.mounts = [.init(target: "/in/deep", source: .path(source), readOnly: true)]
        }
        #expect(result.output.contains("hello\n"))
        #expect(result.output.contains("refused\n"))
        #expect(result.changed == [])
    }

    @Test func `a writable bind keeps what is written, outside the layer`() async throws {
        let bench = try Bench()
        let source = try source(bench)
        let result = try await bench.shell("echo new > /root/.cache/pip/new; touch /root/.profile") {
            $0.mounts = [.init(target: "/root/.cache/pip", source: .path(source), readOnly: false)]
        }
        #expect(result.code == 0)
        #expect(FileManager.default.fileExists(atPath: source + "/new"))
        #expect(result.changed == ["root", "root/.profile"])
    }

    @Test func `a parent that the image has keeps its times`() async throws {
        let bench = try Bench()
        var times = [timespec(tv_sec: 1_000_000, tv_nsec: 7), timespec(tv_sec: 1_000_000, tv_nsec: 7)]
        utimensat(AT_FDCWD, bench.layer + "/home", &times, 0)
        let result = try await bench.shell("stat -c %Y /home") {
            $0.mounts = [.init(target: "/home/x", source: .tmpfs(size: nil), readOnly: false)]
        }
        #expect(result.output == "1000000\n")
        #expect(result.changed == [])
    }

    @Test func `memory has its size and is gone afterwards`() async throws {
        let bench = try Bench()
        let result = try await bench.shell("df -k /scratch | grep -c ' 1024 '; touch /scratch/x") {
            $0.mounts = [.init(target: "/scratch", source: .tmpfs(size: 1 << 20), readOnly: false)]
        }
        #expect(result.output == "1\n")
        #expect(result.changed == [])
    }

    @Test func `a layer that is there twice, and no layer at all, can be mounted`() throws {
        let bench = try Bench()
        for (name, layers) in [("twice", [bench.layer, bench.layer]), ("none", [])] {
            let scratch = bench.folder.path + "/" + name
            try Files.makeDirectory(scratch)
            let snapshot = try Snapshot.mount(layers: layers, scratch: scratch)
            defer { snapshot.unmount() }
            #expect(Files.exists(snapshot.path + "/bin/busybox") == !layers.isEmpty)
        }
    }

    @Test func `a single file can be mounted`() async throws {
        let bench = try Bench()
        let source = try source(bench)
        let result = try await bench.shell("cat /etc/in") {
            $0.mounts = [.init(target: "/etc/in", source: .path(source + "/file"), readOnly: true)]
        }
        #expect(result.output == "hello\n")
        #expect(result.changed == [])
    }

    @Test func `a heredoc's script is executable and leaves no trace`() async throws {
        let bench = try Bench()
        let result = try await bench.run(
            StepSpec(arguments: ["/dev/pipes/EOF"], files: [.init(path: "/dev/pipes/EOF", content: "#!/bin/sh\necho script\n")]))
        #expect(result.output == "script\n")
        #expect(result.changed == [])
    }

    @Test func `a mount inside a volume leaves nothing in the volume`() async throws {
        let bench = try Bench()
        let volume = bench.folder.path + "/volume"
        try Files.makeDirectory(volume)
        let source = try source(bench)
        let result = try await bench.shell("cat /v/a/b/file") {
            $0.mounts = [
                .init(target: "/v", source: .path(volume), readOnly: false), .init(target: "/v/a/b", source: .path(source), readOnly: true),
            ]
        }
        #expect(result.output == "hello\n")
        #expect(Files.names(in: volume) == [])
        #expect(result.changed == [])
    }

    @Test func `a target behind a symbolic link stays inside the root`() async throws {
        let bench = try Bench()
        symlink("/../../../../outside", bench.layer + "/link")
        let source = try source(bench)
        let result = try await bench.shell("cat /outside/file") {
            $0.mounts = [.init(target: "/link", source: .path(source), readOnly: true)]
        }
        #expect(result.output == "hello\n")
        #expect(result.changed == [])
    }

    @Test(arguments: ["/proc", "/proc/1/root/etc", "/sys/x", "/root-of-1", "/bin/busybox/x"])
    func `a target that works on no machine is the step's fault`(target: String) async throws {
        let bench = try Bench()
        symlink("/proc/1/root/tmp", bench.layer + "/root-of-1")
        let error = await #expect(throws: SandboxError.self) {
            _ = try await bench.shell("true") { $0.mounts = [.init(target: target, source: .tmpfs(size: nil), readOnly: false)] }
        }
        #expect(error?.isOfMachine == false, "\(String(describing: error))")
        #expect(error.map { "\($0)".contains(target) } == true, "\(String(describing: error))")
    }

    @Test(arguments: ["/cache/link", "/cache/link/x", "/cache/self/1/root", "/cache/up/x"])
    func `a target through a link inside another mount is the step's fault`(target: String) async throws {
        let bench = try Bench()
        let source = try source(bench)
        symlink("/proc", source + "/self")
        symlink("/tmp", source + "/link")
        symlink("../../etc", source + "/up")
        let error = await #expect(throws: SandboxError.self) {
            _ = try await bench.shell("true") {
                $0.mounts = [
                    .init(target: "/cache", source: .path(source), readOnly: false),
                    .init(target: target, source: .tmpfs(size: nil), readOnly: false),
                ]
            }
        }
        #expect(error?.isOfMachine == false, "\(String(describing: error))")
        #expect(error.map { "\($0)".contains(target) } == true, "\(String(describing: error))")
    }

    @Test(arguments: ["/bin/busybox/x", "/" + String(repeating: "x", count: 300)])
    func `a working directory that no machine can have is the step's fault`(directory: String) async throws {
        let bench = try Bench()
        let error = await #expect(throws: SandboxError.self) {
            _ = try await bench.run(StepSpec(arguments: ["/bin/true"], workingDirectory: directory))
        }
        #expect(error?.isOfMachine == false, "\(String(describing: error))")
    }

    @Test func `a source in a tree does not lead out of it`() async throws {
        let bench = try Bench()
        let source = try source(bench)
        symlink("/etc", source + "/etc")
        await #expect(throws: SandboxError.self) {
            _ = try await bench.shell("ls /in") {
                $0.mounts = [.init(target: "/in", source: .inTree(root: source, path: "etc/passwd"), readOnly: true)]
            }
        }
    }

    @Test func `a root of no layers has the mounts alone`() async throws {
        let bench = try Bench()
        let step = StepSpec(
            arguments: ["/bin/busybox", "ls", "/"], mounts: [.init(target: "/bin", source: .path(bench.layer + "/bin"), readOnly: true)])
        let result = try await bench.run(step, layers: [])
        #expect(result.output == "bin\ndev\netc\nproc\nsys\n")
        #expect(result.changed == [])
    }
}
