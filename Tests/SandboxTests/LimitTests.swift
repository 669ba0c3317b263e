import Foundation
import Glibc
import Testing

@testable import Sandbox

@Suite(
    .enabled(if: Machine.enforcesLimits, "needs root, busybox-static, and cgroups that limit processors and memory"),
    .timeLimit(.minutes(2)))
struct LimitTests {
    private static let memory: UInt64 = 32 << 20
    private static let eater = "a=x; while :; do a=$a$a; done"

    @Test func `a step that goes over its memory is ended, and it is told why`() async throws {
        let bench = try Bench()
        let result = try await bench.shell(Self.eater) { $0.limits.memory = Self.memory }
        #expect(result.code == 137)
        #expect(result.exceededMemory == Self.memory)
    }

    @Test func `it is told too where one of its processes was ended and the step went on`() async throws {
        let bench = try Bench()
        let result = try await bench.shell("sh -c '\(Self.eater)'; echo left $?") { $0.limits.memory = Self.memory }
        #expect(result.output.contains("left 137"), "\(result.output)")
        #expect(result.code == 0 && result.exceededMemory == Self.memory)
    }

    @Test func `what was read and written does not count: the kernel gives it back`() async throws {
        let bench = try Bench()
        let result = try await bench.shell(
            "busybox dd if=/dev/zero of=/large bs=1048576 count=100 2>/dev/null && cat /large | busybox wc -c; exit 9"
        ) {
            $0.limits.memory = Self.memory
        }
        #expect(result.output == "\(100 << 20)\n")
        #expect(result.code == 9 && result.exceededMemory == nil)
    }

    @Test func `a step without limits has none, and one that fails is not blamed for memory`() async throws {
        let bench = try Bench()
        let result = try await bench.shell("sh -c 'kill -KILL $$'; exit $?")
        #expect(result.code == 137 && result.exceededMemory == nil)
        let limited = try await bench.shell("sh -c 'kill -KILL $$'; exit $?") { $0.limits.memory = Self.memory }
        #expect(limited.code == 137 && limited.exceededMemory == nil)
    }

    @Test func `a step's processors are those that it was given`() async throws {
        let bench = try Bench()
        let result = try await bench.shell("cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us /sys/fs/cgroup/cpu.max 2>/dev/null; true") {
            $0.limits.cores = 0.25
            $0.limits.memory = Self.memory
        }
        #expect(result.output.hasPrefix("25000"), "\(result.output)")
    }

    @Test func `nothing is left of the limits' cgroups`() async throws {
        let folder = try Machine.Folder()
        let name = "test-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
        let sandbox = try Sandbox(runtime: Runtime.find(choice: "auto", in: folder.path), directory: folder.path, name: name)
        let layer = try Machine.busyboxLayer(in: folder)
        for number in 0..<2 {
            let room = Snapshot.Room(upper: "\(folder.path)/upper-\(number)", work: "\(folder.path)/work-\(number)")
            for directory in [room.upper, room.work] { try Files.makeDirectory(directory) }
            var step = StepSpec(arguments: ["/bin/sh", "-c", number == 0 ? Self.eater : "true"])
            step.limits.memory = Self.memory
            _ = try await sandbox.run(step, layers: [layer], room: room, scratch: "\(folder.path)/step", id: "left-\(number)") { _ in }
        }
        sandbox.close()
        let hierarchies = Files.names(in: "/sys/fs/cgroup").map { "/sys/fs/cgroup/\($0)" } + ["/sys/fs/cgroup"]
        #expect(hierarchies.filter { Files.exists("\($0)/farm/\(name)") } == [])
    }

    @Test func `a machine on which memory can't be limited runs steps without`() async throws {
        let folder = try Machine.Folder()
        let able = try Runtime.find(choice: "auto", in: folder.path)
        let runtime = Runtime(name: able.name, path: able.path, ability: .cgroups, findings: [])
        let sandbox = try Sandbox(runtime: runtime, directory: folder.path, name: "test-\(getpid())-\(UInt32.random(in: 0...UInt32.max))")
        defer { sandbox.close() }
        let layer = try Machine.busyboxLayer(in: folder)
        let room = Snapshot.Room(upper: "\(folder.path)/upper", work: "\(folder.path)/work")
        for directory in [room.upper, room.work] { try Files.makeDirectory(directory) }
        var step = StepSpec(arguments: ["/bin/true"])
        (step.limits.memory, step.limits.cores) = (1, 0.01)
        let end = try await sandbox.run(step, layers: [layer], room: room, scratch: "\(folder.path)/step", id: "free") { _ in }
        #expect(end.code == 0 && end.exceededMemory == nil)
    }
}
