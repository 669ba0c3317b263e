import BlockingIO
import BuildPlan
import FoundationEssentials
import Glibc

/// Runs steps: one command in an OCI runtime, on a stack of layers, what it changes in a directory of its own.
public final class Sandbox: Sendable {
    /// Steps wait on threads of their own, so that many long ones do not take those that move files.
    private static let threads = BlockingPool(limit: 512)
    /// How long a kill is tried by way of the runtime before the runtime itself is killed.
    private static let killAttempts = 20
    private static let killPause: useconds_t = 50_000

    /// The one that the agent's start found.
    public let runtime: Runtime
    private let state: String
    private let memory: MemoryDirectory?
    private let cgroups: Cgroups
    private let seccomp: RuntimeSpec.Seccomp

    /// - Parameters:
    ///   - directory: an existing one for the runtime's own state; one of each sandbox, the same after a restart.
    ///   - name: of the agent: part of the cgroups' paths.
    ///   - memory: for steps with secrets as variables; without, there can't be any.
    public init(runtime: Runtime, directory: String, name: String = "local", memory: MemoryDirectory? = nil) throws(SandboxError) {
        self.runtime = runtime
        state = directory + "/runtime"
        self.memory = memory
        cgroups = Cgroups(name: name)
        seccomp = SeccompProfile.profile(architecture: Self.architecture)
        try Files.makeDirectory(state, mode: 0o700)
        if let memory { try Files.makeDirectory(Self.state(in: memory), mode: 0o700) }
    }

    private static let stateName = "runtime"
    private static func state(in memory: MemoryDirectory) -> String { "\(memory.path)/\(stateName)" }

    /// Where the runtime keeps what it knows of a step: it writes a copy of the whole specification there.
    private func state(of step: StepSpec) throws(SandboxError) -> String {
        if step.secretEnvironment.isEmpty { return state }
        guard let memory else { throw .noMemoryDirectory(reason: "none was made when the agent started; its log says why") }
        return Self.state(in: memory)
    }

    private static var architecture: String {
        #if arch(x86_64)
            "amd64"
        #elseif arch(arm64)
            "arm64"
        #else
            ""
        #endif
    }

    /// Ends what an agent that was killed left running. To be called at the start, before any step. Blocking.
    /// - Returns: the ids of the containers that were found.
    public func recover() -> [String] {
        var ended: [String] = []
        for state in [state] + (memory.map { [Self.state(in: $0)] } ?? []) {
            let found = Files.names(in: state).filter { !$0.hasPrefix(".") }
            for id in found { delete(id, in: state) }
            for id in found { Files.removeTree("\(state)/\(id)") }
            ended += found
        }
        memory?.empty(but: Self.stateName)
        close()
        return ended
    }

    /// Removes the cgroups of this sandbox. To be called at the end; does nothing to those that still run. Blocking.
    public func close() { cgroups.removeAll() }

    /// Runs a step to its end, or to its task's cancellation, which ends the whole process tree.
    ///
    /// - Parameters:
    ///   - layers: directories in overlayfs's upper form, lowest first.
    ///   - room: where what the step changes goes.
    ///   - scratch: a directory that is made and removed again.
    ///   - id: unique among the running ones of this sandbox; letters, digits and `-`.
    ///   - output: called with what the step writes, in order, on a thread that may block.
    public func run(
        _ step: StepSpec, layers: [String], room: Snapshot.Room, scratch: String, id: String,
        output: @escaping @Sendable (UnsafeRawBufferPointer) -> Void
    ) async throws -> StepEnd {
        try Task.checkCancellation()
        let running = RunningStep()
        let state = try state(of: step)
        let end = try await withTaskCancellationHandler {
            try await Self.threads.run { [self] in
                let prepared = try prepare(step, layers: layers, room: room, scratch: scratch, id: id)
                defer { prepared.remove() }
                return try runToEnd(prepared, running: running, output: output)
            }
        } onCancel: {
            running.cancel()
            // Killing takes turns with the runtime, which may be anywhere between its start and its end.
            Task { try await Self.threads.run { [self] in stop(id, running, in: state) } }
        }
        try Task.checkCancellation()
        return end
    }

    func runToEnd(
        _ prepared: PreparedStep, running: RunningStep = RunningStep(), output: (UnsafeRawBufferPointer) -> Void
    ) throws -> StepEnd {
        let state = prepared.state
        let log = prepared.bundle + "/runtime.log"
        let process = try ChildProcess(runtime.arguments(root: state, log: log) + ["run", "--bundle", prepared.bundle, prepared.id])
        if !running.started(process) { process.kill() }
        let code = try process.run(output: output, onOverstay: { delete(prepared.id, in: state) })
        if Files.exists("\(state)/\(prepared.id)") { delete(prepared.id, in: state) }
        let exceeded = prepared.memory.flatMap { $0.wasExceeded() ? $0.limit : nil }
        cgroups.remove(prepared.id)
        do {
            var end = try RuntimeLog.end(code: code, log: log)
            end.exceededMemory = exceeded
            return end
        } catch SandboxError.runtime(let message) {
            guard let exceeded else { throw SandboxError.runtime(message) }
            throw SandboxError.badStep("the runtime's own start needs more memory than the \(exceeded) bytes that it has (\(message))")
        }
    }

    private func delete(_ id: String, in state: String) {
        _ = try? ChildProcess.run(runtime.arguments(root: state) + ["delete", "--force", id])
    }

    private func stop(_ id: String, _ running: RunningStep, in state: String) {
        for _ in 0..<Self.killAttempts {
            guard running.isAlive else { return }
            _ = try? ChildProcess.run(runtime.arguments(root: state) + ["kill", id, "KILL"])
            guard running.isAlive else { return }
            usleep(Self.killPause)
        }
        running.kill()
        delete(id, in: state)
    }

    // MARK: Before the start

    /// Mounts the root, makes the mount points and writes the bundle. Blocking.
    func prepare(_ step: StepSpec, layers: [String], room: Snapshot.Room, scratch: String, id: String) throws -> PreparedStep {
        let state = try state(of: step)
        // The specification has the secrets: then it is written to memory only.
        let isSecret = !step.secretEnvironment.isEmpty
        let bundle = isSecret ? "\(memory?.path ?? scratch)/bundle-\(id)" : scratch + "/bundle"
        for directory in [scratch, bundle] { try Files.makeDirectory(directory, mode: 0o700) }
        var points: MountPoints
        var layout: MountLayout
        do {
            // Looked at without its upper: to mount that twice in a row would meet the first mount in the namespaces of other steps.
            let image = try Snapshot.mount(layers: layers, scratch: scratch)
            defer { image.unmount() }
            layout = try MountLayout(step: step, root: image.path, bundle: bundle)
            points = try MountPoints(root: image.path, layer: scratch + "/points")
            for point in layout.points { try points.add(point) }
        } catch {
            Files.removeTree(bundle)
            Files.removeTree(scratch)
            throw error
        }
        var held: MemoryGuard?
        let snapshot = try Snapshot.mount(layers: points.isNeeded ? layers + [points.layer] : layers, scratch: scratch, room: room)
        do {
            try layout.makeNestedPoints()
            try layout.makeWorkingDirectory(root: snapshot.path)
            let identity = try UserDatabase(root: snapshot.path).identity(of: step.user)
            var limits = runtime.enforcesLimits ? step.limits : StepSpec.Limits()
            held = try limits.memory.map { try MemoryGuard(path: cgroups.path(of: id), limit: $0) }
            if held?.setsLimit == true { limits.memory = nil }
            let cgroup = held == nil ? cgroups.path(of: id) : cgroups.guardedPath(of: id)
            let spec = RuntimeSpec(
                step: step, identity: identity, root: snapshot.path, workingDirectory: layout.workingDirectory, mounts: layout.mounts,
                cgroup: runtime.usesCgroups ? cgroup : nil, limits: limits, seccomp: seccomp)
            try Files.write(Array(JSONEncoder().encode(spec)), to: bundle + "/config.json", mode: 0o600)
        } catch {
            cgroups.remove(id)
            snapshot.unmount()
            Files.removeTree(bundle)
            Files.removeTree(scratch)
            throw error
        }
        return PreparedStep(
            id: id, scratch: scratch, bundle: bundle, state: state, snapshot: snapshot, points: points, layout: layout, memory: held)
    }
}

/// A step that is ready to start.
struct PreparedStep {
    let id: String
    let scratch: String
    let bundle: String
    /// Where the runtime keeps what it knows of it.
    let state: String
    let snapshot: Snapshot
    let points: MountPoints
    let layout: MountLayout
    /// There where the step is held to its memory.
    let memory: MemoryGuard?

    var upper: String { snapshot.upper ?? "" }

    /// Unmounts the root and takes the traces of the mount points away. Blocking.
    func remove() {
        snapshot.unmount()
        layout.removeNestedPoints()
        points.clean(upper: upper)
        Files.removeTree(bundle)
        Files.removeTree(scratch)
    }
}
