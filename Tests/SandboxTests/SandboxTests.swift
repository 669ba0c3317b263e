import Foundation
import Glibc
import Synchronization
import Testing

@testable import Sandbox

@Suite(.enabled(if: Machine.canRun, "needs root and busybox-static"), .timeLimit(.minutes(2)))
struct SandboxTests {
    @Test func `a step that changes nothing leaves an empty upper`() async throws {
        let bench = try Bench()
        let result = try await bench.shell("true")
        #expect(result.code == 0)
        #expect(result.output == "")
        #expect(result.changed == [])
    }

    @Test func `the root keeps the attributes of the topmost layer's`() async throws {
        let bench = try Bench()
        chmod(bench.layer, 0o711)
        var before = stat()
        stat(bench.layer, &before)
        let result = try await bench.shell("touch /bin/new; stat -c '%a %Y' /")
        #expect(result.output == "711 \(before.st_mtim.tv_sec)\n")
        #expect(result.changed == ["bin", "bin/new"])
    }

    @Test func `exit codes and output of the command arrive`() async throws {
        let bench = try Bench()
        let result = try await bench.shell("echo out; echo err >&2; exit 42")
        #expect(result.code == 42)
        // runc copies the two streams by two pipes: their order is not kept.
        #expect(result.output.split(separator: "\n").sorted() == ["err", "out"])
    }

    @Test func `a command that a signal ends has 128 and the signal`() async throws {
        let bench = try Bench()
        #expect(try await bench.shell("sh -c 'kill -KILL $$'; exit $?").code == 137)
    }

    @Test(arguments: [(["/bin/nothing"], 127), (["nothing"], 127), (["/etc/passwd"], 126)])
    func `a command that can't be executed fails as in a shell`(arguments: [String], code: Int) async throws {
        let bench = try Bench()
        let result = try await bench.run(StepSpec(arguments: arguments))
        #expect(result.code == code)
        #expect(!result.output.isEmpty)
    }

    @Test func `environment, home, path and host name are set`() async throws {
        let bench = try Bench()
        let result = try await bench.shell("echo $A-$HOME-$PATH; hostname; umask") { $0.environment = ["A=b c"] }
        #expect(result.output == "b c-/root-/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nfarm\n0022\n")
    }

    @Test func `a user by name has its groups and home`() async throws {
        let bench = try Bench()
        let result = try await bench.shell("id; echo $HOME") { $0.user = "ann" }
        #expect(result.output == "uid=1000(ann) gid=1001(ann) groups=1001(ann),2000(makers)\n/home/ann\n")
        await #expect(throws: SandboxError.self) { _ = try await bench.shell("true") { $0.user = "nobody" } }
    }

    @Test func `a working directory that is missing is made in the layer`() async throws {
        let bench = try Bench()
        let result = try await bench.shell("echo $PWD; touch here") { $0.workingDirectory = "/work/a" }
        #expect(result.output == "/work/a\n")
        #expect(result.changed == ["work", "work/a", "work/a/here"])
    }

    @Test func `what runs in the background ends with the step`() async throws {
        let bench = try Bench()
        let started = ContinuousClock.now
        let result = try await bench.shell("sleep 600 & echo $!; exit 3")
        #expect(result.code == 3)
        #expect(ContinuousClock.now - started < .seconds(30))
    }

    @Test func `cancelling ends the whole process tree soon`() async throws {
        let bench = try Bench()
        let isRunning = AsyncStream<Void>.makeStream()
        let task = Task {
            try await bench.sandbox.run(
                StepSpec(arguments: ["/bin/sh", "-c", "trap '' TERM INT; echo up; sleep 601 & sleep 601"]), layers: [bench.layer],
                room: bench.room("c"), scratch: bench.folder.path + "/cancelled",
                id: "cancel-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
            ) { _ in isRunning.continuation.finish() }
        }
        for await _ in isRunning.stream {}
        let cancelled = ContinuousClock.now
        task.cancel()
        await #expect(throws: CancellationError.self) { _ = try await task.value }
        #expect(ContinuousClock.now - cancelled < .seconds(2))
    }

    @Test func `a variable with a secret is there for the command, and on no disk while it runs`() async throws {
        let bench = try Bench()
        let name = "test-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
        let memory = try MemoryDirectory(name: name)
        defer { memory.remove() }
        let sandbox = try Sandbox(runtime: bench.sandbox.runtime, directory: bench.folder.path, name: name, memory: memory)
        defer { sandbox.close() }
        let secret = "no-disk-has-this-\(UInt32.random(in: 0...UInt32.max))"
        let (outputs, output) = AsyncStream.makeStream(of: String.self)
        let task = Task {
            var step = StepSpec(arguments: ["/bin/sh", "-c", "echo $TOKEN; sleep 600"])
            step.secretEnvironment = ["TOKEN=\(secret)"]
            return try await sandbox.run(
                step, layers: [bench.layer], room: bench.room("secret"), scratch: bench.folder.path + "/secret-scratch", id: name
            ) { output.yield(String(decoding: $0, as: UTF8.self)) }
        }
        for await text in outputs {
            #expect(text == "\(secret)\n")
            break
        }
        // In memory it is found: so it would be found on the disk.
        #expect(try ChildProcess.run(["/bin/grep", "-rlF", secret, memory.path]).status == 0)
        #expect(try ChildProcess.run(["/bin/grep", "-rlF", secret, bench.folder.path]).status == 1)
        task.cancel()
        await #expect(throws: CancellationError.self) { _ = try await task.value }
        #expect(Files.names(in: memory.path) == ["runtime"])
        #expect(Files.names(in: memory.path + "/runtime").isEmpty)
        // Without a place in memory it does not run at all.
        var step = StepSpec(arguments: ["/bin/true"])
        step.secretEnvironment = ["TOKEN=\(secret)"]
        await #expect(throws: SandboxError.self) {
            _ = try await bench.sandbox.run(
                step, layers: [bench.layer], room: bench.room("none"), scratch: bench.folder.path + "/none-scratch", id: name + "-n"
            ) { _ in }
        }
    }

    @Test(arguments: [true, false]) func `a path of the machine is mounted for a step, and stays when its place is taken away`(
        isDirectory: Bool
    ) async throws {
        let bench = try Bench()
        let source = bench.folder.path + "/source"
        try Files.makeDirectory(source)
        try Files.write(Array("hosted".utf8), to: source + "/file")
        let mounted = try HostMount(of: isDirectory ? source : source + "/file", at: bench.folder.path + "/place")
        let result = try await bench.shell(isDirectory ? "cat /m/file; echo new > /m/new" : "cat /m; echo changed > /m") {
            $0.mounts = [StepSpec.Mount(target: "/m", source: .path(mounted.path), readOnly: false)]
        }
        #expect(result.output == "hosted")
        #expect(result.changed == [])
        mounted.unmount()
        #expect(!Files.exists(bench.folder.path + "/place"))
        #expect(Files.names(in: source).sorted() == (isDirectory ? ["file", "new"] : ["file"]))
        #expect(try Files.read(source + "/file", limit: 100) == Array((isDirectory ? "hosted" : "changed\n").utf8))
        // What an agent that was killed left: a place that is empty goes, one that still has something stays.
        try Files.makeDirectory(bench.folder.path + "/places")
        try Files.makeDirectory(bench.folder.path + "/places/empty")
        try Files.makeDirectory(bench.folder.path + "/places/full")
        try Files.write([], to: bench.folder.path + "/places/full/file")
        HostMount.removePlaces(in: bench.folder.path + "/places")
        #expect(Files.names(in: bench.folder.path + "/places") == ["full"])
    }

    @Test func `a step without network sees a loopback interface alone`() async throws {
        let bench = try Bench()
        let result = try await bench.shell("ls /sys/class/net; ip addr show lo | grep -c 'inet 127.0.0.1'") { $0.network = .none }
        #expect(result.output == "lo\n1\n")
        #expect(result.changed == [])
    }

    @Test func `hosts and resolv.conf are there and read-only`() async throws {
        let bench = try Bench()
        let result = try await bench.shell(
            "grep -c localhost /etc/hosts; grep db /etc/hosts; (echo x >> /etc/hosts) 2> /dev/null || echo refused"
        ) {
            $0.extraHosts = ["db:10.1.2.3"]
        }
        #expect(result.output.contains("2\n10.1.2.3\tdb\n"))
        #expect(result.output.contains("refused\n"))
        #expect(result.changed == [])
    }

    @Test func `capabilities are the usual ones and mounting is refused`() async throws {
        let bench = try Bench()
        let result = try await bench.shell(
            "grep CapEff /proc/self/status; mount -t tmpfs none /home && echo mounted; mknod /home/n c 1 3 && echo node")
        #expect(result.output.contains("00000000a80425fb"))
        #expect(!result.output.contains("mounted"))
        #expect(result.output.contains("node"))
    }

    @Test func `the machine's kernel settings can't be written`() async throws {
        let bench = try Bench()
        let result = try await bench.shell(
            "echo 1 > /proc/sys/vm/swappiness && echo written; cat /proc/kcore | grep -c .; echo b > /proc/sysrq-trigger && echo w")
        #expect(!result.output.contains("written"))
        #expect(result.output.contains("0\n"))
    }
}
