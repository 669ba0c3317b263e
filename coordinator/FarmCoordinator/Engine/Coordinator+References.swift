import BuildPlan
import FarmAPI
import Store

// werf's dependencies: variables that have the results of other stages.
extension Coordinator {
    /// Puts the results that a stage's variables name into its plan, when all of them are known.
    func resolveReferences(of number: Int, _ run: BuildRun, _ resolved: StoredPlan) throws {
        let planned = run.stages[number].planned
        guard !planned.allReferences.isEmpty else { return }
        var results: [Int: StoredResult] = [:]
        for stage in Set(planned.allReferences.map(\.stage)) {
            guard run.stages[stage].assignment == nil, let result = try result(of: stage, run, resolved) else { return }
            results[stage] = result
        }
        let plan = planned.with(results)
        let before = run.stages[number].plan
        guard plan != before else { return }
        run.stages[number].plan = plan
        // A result that was made anew and came out differently: what was made with the old one's name is not what is asked for.
        if before.allReferences.isEmpty { forget(from: 0, stage: number, of: run) }
    }
}

extension Stage {
    /// Its own and those of its steps.
    var allReferences: [StageReference] {
        references
            + steps.flatMap { step -> [StageReference] in if case .run(let run) = step.operation { run.references } else { [] } }
    }

    fileprivate func with(_ results: [Int: StoredResult]) -> Stage {
        func value(_ reference: StageReference) -> String? {
            results[reference.stage].map { result in
                switch reference.kind {
                case .imageDigest: result.digest.description
                case .imageID: result.configDigest.description
                }
            }
        }
        var stage = self
        stage.references = []
        for reference in references { if let value = value(reference) { stage.config.setEnvironment(reference.variable, value) } }
        for index in steps.indices {
            guard case .run(var run) = steps[index].operation, !run.references.isEmpty else { continue }
            // A configuration sets a variable where it stands, or at the end: so a step does too.
            var config = ImageConfig()
            config.env = run.environment
            for reference in run.references { if let value = value(reference) { config.setEnvironment(reference.variable, value) } }
            run.environment = config.env
            run.references = []
            stage.steps[index].operation = .run(run)
        }
        return stage
    }
}

extension Operation {
    /// True while a variable's value is not known.
    var waitsForResults: Bool { if case .run(let run) = self { !run.references.isEmpty } else { false } }

    /// Paths of the agent's machine that are mounted.
    var hostPaths: [String] {
        guard case .run(let run) = self else { return [] }
        return run.mounts.compactMap { mount in if case .host(let path) = mount.kind { path } else { nil } }
    }

    /// Ids of the secrets that are mounted.
    var secrets: [String] {
        guard case .run(let run) = self else { return [] }
        return run.mounts.compactMap { mount in if case .secret(let secret) = mount.kind { secret.id } else { nil } }
    }
}

extension Plan {
    /// What the build's options say of every RUN: it determines the results, so that it enters the keys.
    func with(_ options: BuildOptions) -> Plan {
        guard !options.extraHosts.isEmpty || options.shmSize != nil else { return self }
        var plan = self
        for stage in plan.stages.indices {
            for step in plan.stages[stage].steps.indices {
                guard case .run(var run) = plan.stages[stage].steps[step].operation else { continue }
                run.extraHosts += options.extraHosts
                run.shmSize = options.shmSize ?? run.shmSize
                plan.stages[stage].steps[step].operation = .run(run)
            }
        }
        return plan
    }
}
