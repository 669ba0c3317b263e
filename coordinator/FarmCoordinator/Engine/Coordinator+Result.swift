import BuildPlan
import Digests
import FarmAPI
import OCI
import Store

extension Coordinator {
    /// What an upper without anything in it is as a layer: the end of a tar.
    static let emptyLayer = Digest.of([UInt8](repeating: 0, count: 1024))

    /// Ends a build all of whose targets are done; nothing happens while something that their variables need is not known.
    func finish(_ run: BuildRun, _ resolved: StoredPlan) throws {
        guard let target = try result(of: resolved.plan.target, run, resolved) else { return }
        var images: [String: StoredResult]?
        if !resolved.plan.images.isEmpty {
            var named: [String: StoredResult] = [:]
            for image in resolved.plan.images {
                guard let result = try result(of: image.stage, run, resolved) else { return }
                named[image.name] = result
            }
            images = named
        }
        finish(run, .succeeded, failure: nil, image: target, images: images)
    }

    /// The image of a stage, from records alone: the same records give the same image, byte for byte. nil while they are not all known.
    func result(of stage: Int, _ run: BuildRun, _ resolved: StoredPlan) throws -> StoredResult? {
        guard run.layers(of: stage) != nil, run.stages[stage].plan.allReferences.isEmpty else { return nil }
        // A patch that changed nothing is a step without a trace in the image.
        let steps = run.chain(below: stage).map { (record: $0.record, isLeftOut: $0.isPatch && $0.record.layer.diffID == Self.emptyLayer) }
        let kept = steps.filter { !$0.isLeftOut }.map(\.record)
        let image = run.rootImage(of: stage)
        let layers = (image?.layers ?? []) + kept.map(\.layer)
        var left = steps.map(\.isLeftOut)[...]
        let old = image?.history.count ?? 0
        let planned = run.stages[stage].plan.history
        let entries =
            Array(planned.prefix(old)) + planned.dropFirst(old).filter { entry in entry.emptyLayer || !(left.popFirst() ?? false) }
        let (history, created) = Self.history(entries, of: image, steps: kept.map(\.createdAt))
        let manifest = try ImageManifest.make(
            config: run.stages[stage].plan.config, platform: resolved.plan.platform, history: history, layers: layers, created: created)
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
    func chain(below stage: Int) -> [(record: StoredRecord, isPatch: Bool)] {
        let own = stages[stage].steps.indices.compactMap { index in
            stages[stage].known(index).map { (record: $0, isPatch: stages[stage].plan.steps[index].operation.isPatch) }
        }
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
