import BlockingIO
import BuildPlan
import Digests
import FarmAPI
import Sandbox
import Synchronization
import Volumes

// RUN.
extension StageRun {
    func perform(
        _ run: RunOperation, _ index: Int, upon progress: Progress, in scope: StepScope, _ report: inout StepReport
    ) async throws -> LayerDescriptor {
        let paths = try await scope.pin(progress.layers)
        let update = run.git.isEmpty ? nil : try await update(run.git, from: progress.files)
        let secrets = try await secrets(of: run)
        let inputs = try await inputs(of: run, secrets, in: scope, &report)
        let mask = SecretMask(Array(secrets.values.values))
        return try await makeLayer(above: progress.layers) { room in
            if let update {
                // The command may change what is written: it must be nobody else's file.
                let written = try await update.write(into: room, above: paths, linksFiles: false, scope: scope)
                report.bytes.context += Int64(clamping: written.fetchedBytes)
            }
            // Last, and without a slot: others may hold a lock for long.
            let end = try await withVolumes(of: run, index, in: scope) { volumes in
                if let lease = volumes?.lease {
                    report.bytes.volumes += lease.bytesReceived
                    for note in lease.notes { post(.log(step: index, text: "\(note)\n")) }
                }
                let spec = try spec(of: run, inputs, volumes)
                let begun = ContinuousClock.now
                report.waited = begun - report.begun
                let end = try await services.slots.run {
                    try await execute(spec, index, layers: paths, room: room, mask: mask, scope: scope)
                }
                // Not the command's fault, then, as far as one can know: another agent may have more room.
                if end.code != 0, services.disk.wasFull(since: begun) { throw AgentError.diskFull(services.disk.path) }
                return end
            }
            let memory = end.exceededMemory.map { excess(of: $0) }
            if end.code != 0 {
                throw StepFailure(message: Self.message(run, end.code) + (memory.map { ": \($0)" } ?? ""), exitCode: end.code)
            }
            if let memory { post(.log(step: index, text: "\(memory)\n")) }
        }
    }

    /// What a command gets beside its layers and volumes.
    struct Inputs: Sendable {
        /// In the order of mounting; those without a source are volumes.
        var mounts: [(mount: Mount, source: StepSpec.Mount.Source?)] = []
        /// `NAME=value`
        var secretEnvironment: [String] = []
    }

    private func inputs(
        of run: RunOperation, _ secrets: Secrets, in scope: StepScope, _ report: inout StepReport
    ) async throws -> Inputs {
        var inputs = Inputs()
        for mount in run.mounts {
            guard case .secret(let secret) = mount.kind else {
                inputs.mounts.append((mount, try await source(of: mount, in: scope, &report)))
                continue
            }
            guard let value = secrets.values[secret.id] else { continue }
            if secret.isFile { inputs.mounts.append((mount, try await file(of: secret, value: value, in: scope))) }
            if let name = secret.variable { inputs.secretEnvironment.append(try Self.variable(name, secret, value: value)) }
        }
        return inputs
    }

    private func spec(of run: RunOperation, _ inputs: Inputs, _ volumes: Volumes?) throws -> StepSpec {
        var mounts: [StepSpec.Mount] = []
        for (mount, source) in inputs.mounts {
            guard let source = source ?? volumes?.path(of: mount).map({ .path($0) }) else {
                throw AgentError.badAnswer("the mount at \(mount.target) has no source")
            }
            mounts.append(StepSpec.Mount(target: mount.target, source: source, readOnly: mount.readOnly))
        }
        var spec = StepSpec(
            arguments: run.arguments, environment: run.environment, workingDirectory: run.workingDirectory, user: run.user,
            network: run.network, mounts: mounts, files: run.files, extraHosts: run.extraHosts, shmSize: run.shmSize)
        spec.secretEnvironment = inputs.secretEnvironment
        spec.limits = limits
        return spec
    }

    /// The build's own, and the agent's where they are less.
    private var limits: StepSpec.Limits {
        var limits = services.limits
        if let cpus = assignment.cpus { limits.cores = min(cpus, limits.cores ?? cpus) }
        if let memory = assignment.memory.map({ UInt64(max(0, $0)) }) { limits.memory = min(memory, limits.memory ?? memory) }
        return limits
    }

    /// What to say of a step that went over its memory.
    private func excess(of limit: UInt64) -> String {
        let bytes = Int64(clamping: limit)
        let whose = assignment.memory == bytes ? "--memory" : "the agent's step-memory"
        return "it went over its memory, \(ResourceText.memory(bytes)) by \(whose), and the kernel ended a process of it"
    }

    private static func message(_ run: RunOperation, _ code: Int) -> String {
        let words = run.arguments.map { $0.contains { $0 == " " || $0 == "\n" } && $0 != run.arguments.last ? "'\($0)'" : $0 }
        return "process \"\(words.joined(separator: " "))\" did not complete successfully: exit code: \(code)"
    }

    private func execute(
        _ spec: StepSpec, _ index: Int, layers: [String], room: Snapshot.Room, mask: SecretMask, scope: StepScope
    ) async throws -> StepEnd {
        // A lock: output comes on a thread of the sandbox's.
        let decoder = Mutex(OutputDecoder(mask: mask))
        let end = try await services.sandbox.run(
            spec, layers: layers, room: room, scratch: "\(scope.folder.path)/run", id: "s\(services.number())-\(services.outbox.epoch)"
        ) { bytes in
            if let text = decoder.withLock({ $0.text(of: bytes) }) { post(.log(step: index, text: text)) }
        }
        if let text = decoder.withLock({ $0.finish() }) { post(.log(step: index, text: text)) }
        return end
    }

    // MARK: Mounts

    /// Where a mount's content is; nil for a volume.
    private func source(of mount: Mount, in scope: StepScope, _ report: inout StepReport) async throws -> StepSpec.Mount.Source? {
        switch mount.kind {
        case .tmpfs(let size): return .tmpfs(size: size)
        case .temporary: return .path(try await temporaries.path(for: mount.target))
        case .host(let path):
            let host = try await BlockingPool.shared.run { [services] in
                let source = try services.hostPaths.open(path)
                return try withExtendedLifetime(source) { try HostMount(of: source.path, at: services.mountPath()) }
            }
            scope.atEnd { host.unmount() }
            return .path(host.path)
        case .cache, .secret: return nil
        case .bind(let from, let path):
            if from == .context {
                let tree = try await materialize(TreeSelection(source: from, path: path, wildcards: false), in: scope)
                report.bytes.context += tree.bytes
                return mount.readOnly ? .path(tree.path) : try await throwAway(tree.path, in: scope)
            }
            let layers = try layers(of: from)
            // What is written goes with the scope.
            if !mount.readOnly { return .inTree(root: try await scope.mount(layers, writable: true).path, path: path) }
            return .inTree(root: try await scope.root(of: from, layers: layers), path: path)
        }
    }

    /// A file or directory to which a step may write without changing it.
    private func throwAway(_ path: String, in scope: StepScope) async throws -> StepSpec.Mount.Source {
        let parts = path.split(separator: "/")
        let parent = "/" + parts.dropLast().joined(separator: "/")
        return .inTree(root: try await scope.mount(directories: [parent], writable: true).path, path: String(parts.last ?? ""))
    }

    /// The volumes of a step, by their key.
    struct Volumes: Sendable {
        var lease: VolumeLease
        var paths: [String: String]

        func path(of mount: Mount) -> String? { if case .cache(let cache) = mount.kind { paths[cache.volumeID] } else { nil } }
    }

    /// Runs a body with the step's volumes, if it has any.
    private func withVolumes<T: Sendable>(
        of run: RunOperation, _ index: Int, in scope: StepScope, _ body: (Volumes?) async throws -> T
    ) async throws -> T {
        var ids: [String] = []
        var requests: [VolumeRequest] = []
        for mount in run.mounts {
            guard case .cache(let cache) = mount.kind, !ids.contains(cache.volumeID) else { continue }
            ids.append(cache.volumeID)
            let seed = cache.seed.map { seed in { @Sendable in try await directory(of: seed, for: mount, in: scope) } }
            requests.append(
                VolumeRequest(
                    key: VolumeKey(project: assignment.project, id: cache.volumeID, platform: assignment.platform), sharing: cache.sharing,
                    mode: cache.mode, uid: cache.uid, gid: cache.gid, fresh: assignment.noCacheMounts, seed: seed))
        }
        if requests.isEmpty { return try await body(nil) }
        return try await services.volumes.withLease(
            requests, assignment: assignment.id, lock: "\(assignment.id)/\(index)", logger: services.logger,
            publications: publications, say: { post(.log(step: index, text: "warning: \($0)\n")) }
        ) { lease in
            try await body(Volumes(lease: lease, paths: Dictionary(uniqueKeysWithValues: zip(ids, lease.paths))))
        }
    }

    /// The first content of a volume.
    private func directory(of seed: TreeSelection, for mount: Mount, in scope: StepScope) async throws -> String {
        let path: String
        if seed.source == .context {
            path = try await materialize(seed, in: scope).path
        } else {
            path = try await TreePlace.find(seed.path, in: try await scope.root(of: seed.source, layers: try layers(of: seed.source)))
        }
        guard try await TreePlace.isDirectory(path) else {
            throw StepFailure(
                message: "the cache mount at \(mount.target): source=/\(seed.path) is no directory, and a cache begins with what is in one")
        }
        return path
    }
}
