import BuildPlan
import FarmAPI
import Store

extension Load {
    /// What a farm really did: the builds of a coordinator's database with their times of arrival, and of each stage that ran the
    /// steps that were not cached. What the steps waited for their inputs is in their times, as it can't be told apart.
    ///
    /// - Parameter bandwidth: bytes a second that each agent receives in the simulation.
    /// - Throws: ``LoadError`` when there is nothing in it that ran.
    public static func recorded(_ history: History, name: String, bandwidth: Double = 110e6) throws -> Load {
        var load = Load(name: name, agents: [], volumes: [], bases: [], builds: [])
        load.agents = history.agents.map { Agent(joins: 0, slots: max(1, $0.slots), bandwidth: bandwidth) }
        var recording = Recording(volumes: history.volumes)
        for build in history.builds { recording.append(build, to: &load) }
        guard !load.agents.isEmpty, !load.builds.isEmpty else {
            throw LoadError(description: "the history '\(name)' has no agent, or no build of which a step ran")
        }
        let start = load.builds[0].arrives
        for index in load.builds.indices { load.builds[index].arrives -= start }
        load.volumes = recording.loadVolumes
        return load
    }
}

/// Numbers for the names in a history.
private struct Recording {
    private struct Kind: Hashable {
        var project: Int
        var stage: String
    }

    private(set) var loadVolumes: [Load.Volume] = []
    private let known: [VolumeKey: StoredVolume]
    private var volumes: [VolumeKey: Int] = [:]
    private var projects: [String: Int] = [:]
    private var users: [String: Int] = [:]
    private var kinds: [Kind: Int] = [:]

    init(volumes: [StoredVolume]) {
        known = Dictionary(volumes.map { ($0.key, $0) }) { first, _ in first }
    }

    /// Adds the build, unless nothing of it ran.
    mutating func append(_ ended: History.Build, to load: inout Load) {
        guard let resolved = ended.build.plan else { return }
        let project = Self.number(ended.build.request.project, &projects)
        if project == load.bases.count { load.bases.append(0) }
        for image in resolved.images.values {
            load.bases[project] = max(load.bases[project], image.layers.reduce(0) { $0 + max(0, $1.size) })
        }
        var stages: [Load.Stage] = []
        // A stage of which nothing ran is not there for those that depend on it.
        var places: [Int: Int] = [:]
        for (number, stage) in resolved.plan.stages.enumerated() {
            let ran = ended.steps.filter { $0.stage == number && !$0.cached && $0.startedAt != nil && $0.finishedAt != nil }
            guard !ran.isEmpty else { continue }
            let nanoseconds = ran.reduce(0) { $0 + max(0, ($1.finishedAt?.nanoseconds ?? 0) - ($1.startedAt?.nanoseconds ?? 0)) }
            places[number] = stages.count
            stages.append(
                Load.Stage(
                    kind: Self.number(Kind(project: project, stage: stage.name), &kinds),
                    dependencies: stage.dependencies.compactMap { places[$0] }, duration: Double(nanoseconds) / 1e9,
                    volumes: mounted(stage, ended.build), layerBytes: ran.reduce(0) { $0 + max(0, $1.layer?.size ?? 0) }))
        }
        guard !stages.isEmpty else { return }
        load.builds.append(
            Load.Build(
                arrives: Double(ended.build.createdAt.nanoseconds) / 1e9, project: project,
                user: Self.number(ended.build.user, &users), stages: stages))
    }

    private mutating func mounted(_ stage: Stage, _ build: StoredBuild) -> [Int] {
        var numbers = Set<Int>()
        for step in stage.steps {
            guard case .run(let run) = step.operation else { continue }
            for mount in run.mounts {
                guard case .cache(let cache) = mount.kind else { continue }
                numbers.insert(
                    number(of: VolumeKey(project: build.request.project, id: cache.volumeID, platform: build.platform)))
            }
        }
        return numbers.sorted()
    }

    private mutating func number(of key: VolumeKey) -> Int {
        let number = Self.number(key, &volumes)
        if number == loadVolumes.count {
            let volume = known[key]
            let changes = volume?.publications.map(\.bytes) ?? []
            let mean = changes.isEmpty ? 0 : changes.reduce(0) { $0 + max(0, $1) / Int64(changes.count) }
            loadVolumes.append(Load.Volume(bytes: max(0, volume?.bytes ?? 0), deltaBytes: mean))
        }
        return number
    }

    private static func number<Name: Hashable>(_ name: Name, _ names: inout [Name: Int]) -> Int {
        if let known = names[name] { return known }
        names[name] = names.count
        return names.count - 1
    }
}
