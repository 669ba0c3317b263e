import BuildPlan
import Digests
import FarmAPI
import OCI
import Store

extension Coordinator {
    /// The image of the target, from records alone: the same records give the same image, byte for byte.
    func result(of run: BuildRun, _ resolved: StoredPlan) throws -> StoredResult {
        let target = resolved.plan.target
        guard let layers = run.layers(of: target) else {
            throw EngineError.conflict("the layers of stage \(run.stages[target].plan.name) are not known")
        }
        let steps = run.chain(below: target)
        let image = run.rootImage(of: target)
        let (history, created) = Self.history(
            run.stages[target].plan.history, of: image, steps: steps.map(\.createdAt))
        let manifest = try ImageManifest.make(
            config: run.stages[target].plan.config, platform: resolved.plan.platform, history: history, layers: layers, created: created)
        return StoredResult(
            digest: manifest.digest, configDigest: manifest.configDigest, manifest: String(decoding: manifest.manifest, as: UTF8.self),
            config: String(decoding: manifest.config, as: UTF8.self), layers: layers)
    }

    /// The history with times: a step's own, and for an entry without a layer that of the one before it.
    ///
    /// - Parameter steps: when each step's layer was made, lowest first, from the image on.
    /// - Returns: also the newest of all times, which is when the image was made. No clock is asked: a cached build gives the same image.
    static func history(
        _ entries: [HistoryEntry], of image: BaseImage?, steps: [Timestamp]
    ) -> (entries: [HistoryEntry], created: Timestamp) {
        let old = image?.history.count ?? 0
        var history = Array(entries.prefix(old))
        // An image's history is optional, and some tools leave it out: then every layer of the image gets an entry.
        let layers = image?.layers.count ?? 0
        if history.count(where: { !$0.emptyLayer }) != layers {
            history = (0..<layers).map { _ in HistoryEntry(createdBy: "imported as \(image?.name ?? "")", emptyLayer: false) }
        }
        var latest = history.compactMap(\.created).max() ?? .epoch
        var times = steps[...]
        for var entry in entries.dropFirst(old) {
            if !entry.emptyLayer, let time = times.popFirst() { latest = max(latest, time) }
            entry.created = latest
            history.append(entry)
        }
        return (history, latest)
    }
}

extension BuildRun {
    /// The results of all steps from the image up to the end of the stage.
    func chain(below stage: Int) -> [StoredRecord] {
        let own = stages[stage].steps.indices.compactMap { stages[stage].known($0) }
        guard case .stage(let base) = stages[stage].plan.base else { return own }
        return chain(below: base) + own
    }

    /// The image on which the stage stands in the end; nil for `scratch`.
    func rootImage(of stage: Int) -> BaseImage? {
        switch stages[stage].plan.base {
        case .scratch: nil
        case .image(let name): stored.plan?.images[name]
        case .stage(let base): rootImage(of: base)
        }
    }
}
