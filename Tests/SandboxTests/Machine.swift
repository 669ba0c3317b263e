import CLinux
import Foundation
import Glibc
import Synchronization
import Testing

@testable import Sandbox

/// What tests that run containers share: this process's own mounts, a busybox layer, a runtime.
enum Machine {
    static let isRoot = geteuid() == 0

    /// True where a container can be started here at all.
    static let canRun: Bool = isRoot && access("/bin/busybox", X_OK) == 0

    /// True where steps can be held to processors and memory here. Asked once, by containers.
    static let enforcesLimits: Bool = {
        guard canRun, let folder = try? Folder(), let runtime = try? Runtime.find(choice: "auto", in: folder.path) else { return false }
        return runtime.enforcesLimits
    }()

    /// A directory of one test.
    final class Folder: Sendable {
        let path: String
        init() throws {
            var template = Array("\(NSTemporaryDirectory())/farm-sandbox-XXXXXX".utf8CString)
            guard mkdtemp(&template) != nil else { throw POSIXError(.EIO) }
            path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        }
        deinit { Files.removeTree(path) }
    }

    /// Works with threads running, unlike ``MountNamespace/enter()``: the runtime is looked for in what is there.
    static func sandbox(in folder: Folder) throws -> Sandbox {
        try Sandbox(
            runtime: Runtime.find(choice: "auto", in: folder.path), directory: folder.path,
            name: "test-\(getpid())-\(UInt32.random(in: 0...UInt32.max))")
    }

    /// A layer with a shell, two users and little else: no /proc, /etc/hosts or /tmp.
    static func busyboxLayer(in folder: Folder) throws -> String {
        let layer = folder.path + "/layer"
        for directory in ["", "/bin", "/etc", "/home"] { try Files.makeDirectory(layer + directory) }
        let copied = try ChildProcess.run(["/bin/cp", "/bin/busybox", layer + "/bin/busybox"])
        #expect(copied.status == 0)
        for name in [
            "sh", "true", "id", "cat", "ls", "env", "sleep", "mkdir", "rm", "touch", "mount", "stat", "hostname", "ip", "df", "grep",
            "mknod",
        ] {
            symlink("busybox", "\(layer)/bin/\(name)")
        }
        let passwd = "root:x:0:0:root:/root:/bin/sh\nann:x:1000:1001::/home/ann:/bin/sh\n"
        try Files.write(Array(passwd.utf8), to: layer + "/etc/passwd")
        try Files.write(Array("root:x:0:\nann:x:1001:\nmakers:x:2000:bob,ann\n".utf8), to: layer + "/etc/group")
        return layer
    }
}

/// One root to run steps on.
final class Bench: Sendable {
    let folder: Machine.Folder
    let sandbox: Sandbox
    let layer: String
    private let counter = Atomic(0)

    init() throws {
        folder = try Machine.Folder()
        sandbox = try Machine.sandbox(in: folder)
        layer = try Machine.busyboxLayer(in: folder)
    }

    deinit { sandbox.close() }

    struct Result {
        var code: Int
        var output: String
        /// Paths in the upper, sorted.
        var changed: [String]
        var upper: String
        var exceededMemory: UInt64?
    }

    func run(_ step: StepSpec, layers: [String]? = nil) async throws -> Result {
        let number = counter.add(1, ordering: .relaxed).newValue
        let output = Mutex<[UInt8]>([])
        let room = try room("\(number)")
        let end = try await sandbox.run(
            step, layers: layers ?? [layer], room: room, scratch: "\(folder.path)/step-\(number)",
            id: "test-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
        ) { bytes in output.withLock { $0 += bytes } }
        let changed = FileManager.default.subpaths(atPath: room.upper) ?? []
        return Result(
            code: end.code, output: output.withLock { String(decoding: $0, as: UTF8.self) }, changed: changed.sorted(), upper: room.upper,
            exceededMemory: end.exceededMemory)
    }

    /// As a layer store makes it: the root as the topmost layer's.
    func room(_ name: String) throws -> Snapshot.Room {
        let room = Snapshot.Room(upper: "\(folder.path)/upper-\(name)", work: "\(folder.path)/work-\(name)")
        for directory in [room.upper, room.work] { try Files.makeDirectory(directory) }
        try check(clinux_copy_directory_attributes(layer, room.upper), "copy the attributes of", layer)
        return room
    }

    func shell(_ script: String, change: (inout StepSpec) -> Void = { _ in }) async throws -> Result {
        var step = StepSpec(arguments: ["/bin/sh", "-c", script])
        change(&step)
        return try await run(step)
    }
}
