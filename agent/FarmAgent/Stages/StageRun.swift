import BlockingIO
import BuildPlan
import Daemon
import Digests
import FarmAPI
import FileTree
import Logging
import Sandbox

/// One assignment: its steps one after another, each reported as it ends.
struct StageRun: Sendable {
    let assignment: StageAssignment
    let services: StageServices
    /// werf's tmp_dir.
    let temporaries: TemporaryDirectories
    let publications = Publications()

    init(assignment: StageAssignment, services: StageServices) {
        self.assignment = assignment
        self.services = services
        temporaries = TemporaryDirectories(services: services)
    }

    /// Another agent makes the next step: the stage waits for it at the coordinator, without a place here.
    struct MadeElsewhere: Error {}

    /// What happened to a step beside its layer.
    struct StepReport {
        var bytes = ReceivedBytes()
        var key: Digest?
        let begun = ContinuousClock.now
        /// Until its inputs and locks were there.
        var waited = Duration.zero
    }

    /// As of which root a layer has the repository's files, if it says anything about them.
    private struct FilesState {
        var root: Digest?
    }

    /// What the steps so far have made.
    struct Progress {
        /// Lowest first.
        var layers: [LayerDescriptor]
        /// The context root as of which the layers have the repository's files; nil where they have none.
        var files: Digest?
    }

    /// Runs what is left of the stage.
    ///
    /// - Throws: ``StepFailureAt`` for a step's own fault, `CancellationError`, and anything else for the machine's or the cluster's.
    func run() async throws {
        let result: Result<Void, any Error>
        do { result = .success(try await runSteps()) } catch { result = .failure(error) }
        await temporaries.remove()
        // The next stage, or the next build, may look for what was written at once.
        await publications.settle()
        try result.get()
    }

    private func runSteps() async throws {
        var progress = Progress(layers: assignment.base, files: assignment.filesBelow)
        for index in assignment.firstStep..<max(assignment.firstStep, assignment.steps.count) {
            try Task.checkCancellation()
            var report = StepReport()
            do {
                try await perform(index, upon: &progress, &report)
            } catch {
                throw finish(index, report, classified: Task.isCancelled ? CancellationError() : StepFailure.classify(error))
            }
        }
    }

    /// Reports a step that did not succeed.
    private func finish(_ index: Int, _ report: StepReport, classified error: any Error) -> any Error {
        var outcome: StepOutcome
        switch error {
        case let failure as StepFailure:
            outcome = StepOutcome(status: .failed, cached: false)
            outcome.exitCode = failure.exitCode
            outcome.error = failure.message
            outcome.key = report.key
            outcome.bytes = report.bytes
            post(.stepFinished(step: index, outcome))
            return StepFailureAt(failure: failure, lines: assignment.steps[index].lines)
        case is CancellationError: outcome = StepOutcome(status: .cancelled, cached: false)
        // It will be done elsewhere.
        default: return error
        }
        outcome.key = report.key
        outcome.bytes = report.bytes
        post(.stepFinished(step: index, outcome))
        return error
    }

    private func perform(_ index: Int, upon progress: inout Progress, _ report: inout StepReport) async throws {
        let step = assignment.steps[index]
        let scope = try await StepScope(services: services, purpose: assignment.id)
        do {
            let (layer, files) = try await perform(step, index, upon: progress, in: scope, &report)
            await scope.close()
            progress.layers.append(layer)
            if step.operation.gitMappings != nil { progress.files = files }
        } catch {
            report.bytes.layers = scope.layerBytes
            await scope.close()
            throw error
        }
    }

    private func perform(
        _ step: Step, _ index: Int, upon progress: Progress, in scope: StepScope, _ report: inout StepReport
    ) async throws -> (layer: LayerDescriptor, files: Digest?) {
        let layers = progress.layers
        var inputs: [Digest] = []
        for input in step.operation.inputs { inputs.append(try await digest(of: input, in: scope)) }
        let key = step.key(parent: Chain.id(of: layers), platform: assignment.platform, inputs: inputs)
        report.key = key
        if !assignment.noCache, let found = try await record(key) {
            if let layer = found.layer, let files = try files(after: step.operation, found) {
                finish(index, layer, files: files.root, created: found.created, cached: true, report)
                return (layer, files.root)
            }
            if found.isMade { throw MadeElsewhere() }
        }
        post(.stepStarted(step: index))
        let layer: LayerDescriptor
        switch step.operation {
        case .run(let run): layer = try await perform(run, index, upon: progress, in: scope, &report)
        case .copy(let copy): layer = try await perform(copy, upon: layers, in: scope, &report)
        case .makeDirectory(let path): layer = try await makeDirectory(path, upon: layers, in: scope)
        case .git(let git): layer = try await perform(git, upon: progress, in: scope, &report)
        case .emptyDirectories(let paths): layer = try await makeEmpty(paths, upon: layers, in: scope)
        }
        report.bytes.layers = scope.layerBytes
        report.waited = max(report.waited, scope.waited)
        let files = step.operation.gitMappings == nil ? nil : assignment.contextRoot
        finish(index, layer, files: files, created: .now, cached: false, report)
        return (layer, files)
    }

    /// As of which root a record's layer has the repository's files; nil where that should be known and is not, so that the record does not
    /// count.
    private func files(after operation: Operation, _ found: RecordAnswer) throws -> FilesState? {
        if operation.gitMappings == nil { return FilesState(root: nil) }
        // A patch's key has the files: they are this commit's, whichever commit it was made for.
        if operation.isPatch { return FilesState(root: try contextRoot()) }
        return found.files.map { FilesState(root: $0) }
    }

    private func finish(_ index: Int, _ layer: LayerDescriptor, files: Digest?, created: Timestamp?, cached: Bool, _ report: StepReport) {
        var outcome = StepOutcome(status: .succeeded, cached: cached)
        outcome.key = report.key
        outcome.layer = layer
        outcome.files = files
        outcome.created = created
        outcome.bytes = report.bytes
        outcome.waited = report.waited / .seconds(1)
        if case .run = assignment.steps[index].operation, !cached { outcome.exitCode = 0 }
        post(.stepFinished(step: index, outcome))
    }

    func post(_ kind: AgentReport.Kind) { services.outbox.post(kind, assignment: assignment.id) }

    private func record(_ key: Digest) async throws -> RecordAnswer? {
        do {
            return try await services.api.post(
                RecordAnswer.self, "/api/v1/agent/records", RecordQuery(assignment: assignment.id, key: key), deadline: .seconds(10))
        } catch  where !Task.isCancelled {
            // Not knowing costs a step that may have been done before; the step itself needs no coordinator.
            services.logger.debug("no answer about a record", metadata: ["error": "\(error)"])
            return nil
        }
    }

    // MARK: Inputs

    private func digest(of input: TreeSelection, in scope: StepScope) async throws -> Digest {
        if input.source == .context { return try await services.contexts.digest(of: input, root: try contextRoot()) }
        let layers = try layers(of: input.source)
        let key = SelectionCache.Key(place: input.place(in: layers), path: input.path, wildcards: input.wildcards)
        if let known = services.selections[key] { return known }
        let root = try await scope.root(of: input.source, layers: layers)
        let digest = try await BlockingPool.shared.run {
            try RootSelector(path: Array(root.utf8)).digest(of: input)
        }
        services.selections[key] = digest
        post(.selection(chain: key.place, SelectionDigest(path: input.path, wildcards: input.wildcards, digest: digest)))
        return digest
    }

    func contextRoot() throws -> Digest {
        guard let root = assignment.contextRoot else {
            throw StepFailure(message: "the step reads the build context, but none was submitted; name a folder")
        }
        return root
    }

    func layers(of source: TreeSource) throws -> [LayerDescriptor] {
        guard let found = assignment.sources.first(where: { $0.source == source }) else {
            throw AgentError.badAnswer("the assignment lacks the layers of a source")
        }
        return found.layers
    }

    // MARK: Making layers

    /// Runs a body that fills a new layer's upper, and commits it.
    func makeLayer(
        above layers: [LayerDescriptor], _ body: (Snapshot.Room) async throws -> Void
    ) async throws -> LayerDescriptor {
        let store = services.layers
        let staging = try await BlockingPool.shared.run { try store.newUpper(above: layers.last?.diffID) }
        do {
            try await body(Snapshot.Room(upper: staging.upper, work: staging.work))
            try Task.checkCancellation()
        } catch {
            _ = try? await BlockingPool.shared.run { try store.discard(staging) }
            throw error
        }
        return try await BlockingPool.shared.run { try store.commit(staging) }
    }
}
