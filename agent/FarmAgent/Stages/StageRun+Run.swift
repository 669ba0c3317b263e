import BuildPlan
import Digests
import FarmAPI
import Sandbox
import Synchronization
import Volumes

// RUN.
extension StageRun {
    func perform(
        _ run: RunOperation, _ index: Int, upon layers: [LayerDescriptor], in scope: StepScope, _ report: inout StepReport
    ) async throws -> LayerDescriptor {
        let paths = try await scope.pin(layers)
        var sources: [StepSpec.Mount.Source?] = []
        for mount in run.mounts { sources.append(try await source(of: mount, in: scope, &report)) }
        // Last, and without a slot: others may hold a lock for long.
        let lease = try await volumes(of: run, index, in: scope)
        if let lease {
            report.bytes.volumes += lease.lease.bytesReceived
            for note in lease.lease.notes { post(.log(step: index, text: "\(note)\n")) }
        }
        var mounts: [StepSpec.Mount] = []
        for (mount, source) in zip(run.mounts, sources) {
            guard let source = source ?? lease?.path(of: mount).map({ .path($0) }) else {
                throw AgentError.badAnswer("the mount at \(mount.target) has no source")
            }
            mounts.append(StepSpec.Mount(target: mount.target, source: source, readOnly: mount.readOnly))
        }
        var spec = StepSpec(
            arguments: run.arguments, environment: run.environment, workingDirectory: run.workingDirectory, user: run.user,
            network: run.network,
            mounts: mounts, files: run.files, extraHosts: assignment.extraHosts, shmSize: assignment.shmSize)
        spec.limits = services.limits
        return try await makeLayer(above: layers) { [spec] room in
            let ended: Result<StepEnd, any Error>
            do {
                ended = .success(try await services.slots.run { try await execute(spec, index, layers: paths, room: room, scope: scope) })
            } catch {
                ended = .failure(error)
            }
            // Before the step counts as done: the next build may look for what was written at once.
            await release(lease?.lease)
            let code = try ended.get().code
            if code != 0 { throw StepFailure(message: Self.message(run, code), exitCode: code) }
        }
    }

    private static func message(_ run: RunOperation, _ code: Int) -> String {
        let words = run.arguments.map { $0.contains { $0 == " " || $0 == "\n" } && $0 != run.arguments.last ? "'\($0)'" : $0 }
        return "process \"\(words.joined(separator: " "))\" did not complete successfully: exit code: \(code)"
    }

    private func execute(_ spec: StepSpec, _ index: Int, layers: [String], room: Snapshot.Room, scope: StepScope) async throws -> StepEnd {
        // A lock: output comes on a thread of the sandbox's.
        let decoder = Mutex(OutputDecoder())
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
        case .cache: return nil
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

    private func volumes(of run: RunOperation, _ index: Int, in scope: StepScope) async throws -> Volumes? {
        var ids: [String] = []
        var requests: [VolumeRequest] = []
        for mount in run.mounts {
            guard case .cache(let cache) = mount.kind, !ids.contains(cache.volumeID) else { continue }
            ids.append(cache.volumeID)
            let seed = cache.seed.map { seed in { @Sendable in try await directory(of: seed, in: scope) } }
            requests.append(
                VolumeRequest(
                    key: VolumeKey(project: assignment.project, id: cache.volumeID, platform: assignment.platform), sharing: cache.sharing,
                    mode: cache.mode, uid: cache.uid, gid: cache.gid, fresh: assignment.noCacheMounts, seed: seed))
        }
        if requests.isEmpty { return nil }
        let lease = try await services.volumes.acquire(requests, assignment: assignment.id, lock: "\(assignment.id)/\(index)")
        return Volumes(lease: lease, paths: Dictionary(uniqueKeysWithValues: zip(ids, lease.paths)))
    }

    /// The first content of a volume.
    private func directory(of seed: TreeSelection, in scope: StepScope) async throws -> String {
        if seed.source == .context { return try await materialize(seed, in: scope).path }
        let root = try await scope.root(of: seed.source, layers: try layers(of: seed.source))
        return try await TreePlace.find(seed.path, in: root)
    }

    /// In a task of its own: also a step that was cancelled gives its locks back.
    private func release(_ lease: VolumeLease?) async {
        guard let lease else { return }
        await Task { [services] in
            do {
                try await services.volumes.release(lease)
            } catch {
                services.logger.warning("a volume was not published", metadata: ["error": "\(error)", "assignment": "\(assignment.id)"])
            }
        }.value
    }
}
