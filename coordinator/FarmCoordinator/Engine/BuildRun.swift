import BuildPlan
import Digests
import FarmAPI
import Scheduling
import Store

/// A build that has not ended, in memory. Belongs to the ``Coordinator`` and is touched on it alone.
final class BuildRun {
    /// Whether the file contents that its steps read are here.
    enum Contents {
        /// Nothing more is needed.
        case complete
        case missing(Set<Digest>)
    }

    var stored: StoredBuild
    var stages: [StageRun] = []
    /// Of the last event.
    var sequence: Int
    var contents = Contents.complete
    /// It was looked at what can run: what it needs of its client was asked for.
    var isExamined = false
    /// What was reported a moment ago decides what it can do: the store must have it.
    var readsNewest = false
    /// The client was asked for the secrets, and has not answered yet.
    var waitsForSecrets = false
    /// The parts of the context that have been asked for.
    var requested: Set<TreeSelection> = []
    /// When the client was last heard of, by the monotonic clock.
    var clientSeen: Double
    /// Content digests of the context's parts: they are needed at each look at the graph.
    var contextDigests: [TreeSelection: Digest] = [:]
    /// Bytes of the parts that have been asked for.
    var contextBytes: [TreeSelection: Int64] = [:]

    private let wakes: AsyncStream<Void>.Continuation
    /// Ends when the build ends; a wake-up that comes while another is pending is the same.
    let wakeups: AsyncStream<Void>

    init(_ stored: StoredBuild, sequence: Int, clientSeen: Double) {
        self.stored = stored
        self.sequence = sequence
        self.clientSeen = clientSeen
        (wakeups, wakes) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
    }

    var id: String { stored.id }
    var lacksContents: Bool { if case .missing = contents { true } else { false } }
    var isOpen: Bool { !stored.status.isFinal }
    func wake() { wakes.yield() }
    func end() { wakes.finish() }

    func makeStages(from rows: (stages: [StoredStage], steps: [StoredStep])? = nil) {
        guard let plan = stored.plan?.plan else { return }
        stages = plan.stages.enumerated().map { number, stage in
            let row = rows?.stages.first { $0.number == number } ?? StoredStage(build: id, number: number, name: stage.name)
            let kept = rows?.steps.filter { $0.stage == number } ?? []
            let steps = stage.steps.enumerated().map { index, step in
                kept.first { $0.number == index } ?? StoredStep(build: id, stage: number, number: index, name: step.name)
            }
            var run = StageRun(plan: stage, row: row, steps: steps)
            switch stage.base {
            case .scratch: run.base = []
            case .image(let name): run.base = stored.plan?.images[name]?.layers
            case .stage: break
            }
            return run
        }
    }

    /// The context root as of which the repository's files are in the layers below a step; nil where there are none.
    func files(below step: Int, of stage: Int) -> Digest? {
        for index in stages[stage].steps.indices.prefix(step).reversed()
        where stages[stage].plan.steps[index].operation.gitMappings != nil {
            return stages[stage].known(index)?.files
        }
        guard case .stage(let base) = stages[stage].plan.base else { return nil }
        return files(below: stages[base].steps.count, of: base)
    }

    /// The layers of a stage's result; nil while they are not all known.
    func layers(of stage: Int) -> [LayerDescriptor]? {
        guard stages.indices.contains(stage), let base = stages[stage].base else { return nil }
        let own = stages[stage].steps.indices.map { stages[stage].known($0)?.layer }
        return own.contains(nil) ? nil : base + own.compactMap(\.self)
    }

    func layers(of source: TreeSource) -> [LayerDescriptor]? {
        switch source {
        case .context: nil
        case .stage(let index): layers(of: index)
        case .image(let name): stored.plan?.images[name]?.layers
        }
    }
}

/// A stage of a running build.
struct StageRun {
    /// Where it stands. What it waits for is found anew at each look at the graph.
    enum State {
        /// Not looked at yet, or something that it needs is not there.
        case waiting
        /// It could run now, from this step on.
        case ready(Ready)
        /// An agent makes its next step already, for another stage: it waits for the record.
        case shares(Ready)
        /// An agent has it.
        case assigned(String)
        /// Its result is known, and there as far as it is needed.
        case done
    }

    /// What an assignment needs.
    struct Ready {
        var firstStep: Int
        /// Of the first step; empty where it is nobody else's. See ``Coordinator/names(of:below:stage:_:key:)``.
        var names: [Digest] = []
        /// Layers below the first step.
        var base: [LayerDescriptor]
        /// As ``StageAssignment/filesBelow``.
        var files: Digest?
        var sources: [StageAssignment.SourceLayers]
        var demand: StageDemand
        var readsContext: Bool
    }

    /// As the frontend made it.
    let planned: Stage
    /// The same with the results of other stages in its variables; those that are not known yet stay in its references.
    var plan: Stage
    var row: StoredStage
    var steps: [StoredStep]
    var state = State.waiting
    /// The layers of what it stands on, once they are known.
    var base: [LayerDescriptor]?
    /// Records of steps that did not run in this build, as they were found last.
    var found: [StoredRecord?]
    /// The first step that had no record then, and its key.
    var missing: (step: Int, key: Digest)?
    /// How often it was given to an agent that never got it, since the coordinator was started.
    var undelivered = 0
    /// Agents that could not run it.
    var avoid: Set<String> = []
    /// Why no agent could take it when this was last said.
    var unschedulable: Unschedulable?

    struct Unschedulable {
        /// By the monotonic clock.
        var since: Double
        var reason: String
        /// There are such agents, but none of them is ready.
        var mayChange: Bool
    }

    init(plan: Stage, row: StoredStage, steps: [StoredStep]) {
        planned = plan
        self.plan = plan
        self.row = row
        self.steps = steps
        found = Array(repeating: nil, count: steps.count)
    }

    /// The result of a step: of this build, else of its record.
    func known(_ step: Int) -> StoredRecord? {
        let row = steps[step]
        if row.status == .succeeded, let layer = row.layer, let key = row.key, let created = row.createdAt {
            return StoredRecord(key: key, layer: layer, createdAt: created, files: row.files)
        }
        return found[step]
    }

    var isDone: Bool { if case .done = state { true } else { false } }
    var assignment: String? { if case .assigned(let id) = state { id } else { nil } }
}
