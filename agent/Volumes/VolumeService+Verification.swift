import BlockingIO
import FarmAPI
import TreeSync

// Volumes read in full, and mended.
extension VolumeService {
    /// What was read may be gone when it is to be mended: merged into another layer, or removed to have room. Then all is read again, so often.
    private static let readLimit = 3

    /// Reads everything of a volume here and compares it with its manifests. What is damaged is brought again from others and takes the damaged
    /// one's place; what nobody else has is removed.
    public func verify(_ order: VerifyOrder) async -> VerifyReport {
        for _ in 0..<Self.readLimit {
            guard let snapshot = store.snapshot(of: order.key) else { return unverified(order, "it is not here any more") }
            if let report = await verify(order, snapshot) { return report }
        }
        return unverified(order, "it changed each time while it was read: verify it again")
    }

    private func unverified(_ order: VerifyOrder, _ reason: String) -> VerifyReport {
        let here = store.generation(of: order.key)
        return VerifyReport(id: order.id, generation: here, left: here, files: 0, bytes: 0, damage: [], outcome: .unverified, error: reason)
    }

    /// - Returns: nil where what was read is not what is here now.
    private func verify(_ order: VerifyOrder, _ snapshot: VolumeSnapshot) async -> VerifyReport? {
        var report = VerifyReport(
            id: order.id, generation: snapshot.generation, left: snapshot.generation, files: 0, bytes: 0, damage: [], outcome: .sound)
        do {
            let findings = try await BlockingPool.shared.run { [store] interruption in try store.check(snapshot, interruption) }
            report.files = findings.names
            report.bytes = findings.bytes
            report.damage = findings.faults.prefix(VolumeVerification.damageLimit).map {
                VolumeDamage(path: TreePaths.text($0.path), what: $0.what)
            }
            guard !findings.faults.isEmpty else { return report }
            // To its end: one that is cancelled might have removed what is damaged and brought nothing.
            return await Task { [report] in await mendLocked(order, findings, report) }.value
        } catch {
            report.outcome = report.damage.isEmpty ? .unverified : .damaged
            report.error = "\(error)"
            return report
        }
    }

    private func mendLocked(
        _ order: VerifyOrder, _ findings: VolumeStore.Findings, _ report: VerifyReport
    ) async -> VerifyReport? {
        await locked(order.key) {
            await settle(order.key)
            guard Set(store.layerNames(of: order.key)).isSuperset(of: findings.layers) else { return nil }
            logger.error(
                "volume is damaged",
                metadata: ["project": "\(order.key.project)", "volume": "\(order.key.id)", "damage": "\(report.damage.prefix(3))"])
            return await mend(order, findings, report)
        }
    }

    private func mend(_ order: VerifyOrder, _ findings: VolumeStore.Findings, _ found: VerifyReport) async -> VerifyReport {
        var report = found
        guard !isMounted(order.key) else {
            report.outcome = .damaged
            report.error = "a step uses it there now: verify it again when none does"
            return report
        }
        do {
            (report.outcome, report.error) = try await mend(order, findings, before: report.generation)
        } catch {
            report.outcome = .damaged
            report.error = "\(error)"
        }
        // However it ended: nobody shall count on what is not here.
        report.left = store.generation(of: order.key)
        await announce(order.key)
        if report.left > 0 { maintain(order.key) }
        return report
    }

    private func mend(
        _ order: VerifyOrder, _ findings: VolumeStore.Findings, before: Int
    ) async throws -> (VolumeVerification.Outcome, String?) {
        if findings.isComplete {
            do {
                try await BlockingPool.shared.run { [store] in try store.mendMetadata(findings, of: order.key) }
                if findings.damaged.isEmpty { return (.repaired, nil) }
                let isMended = try await sync.mend(order.key, findings.damaged, to: max(order.head, before), from: order.holders)
                if isMended { return (.repaired, nil) }
            } catch {
                // It may be had later; all that is not damaged stays until then.
                return (.damaged, "\(error): what is not damaged stays; verify it again")
            }
        }
        guard let lowest = findings.lowest else { return (.repaired, nil) }
        try await BlockingPool.shared.run { [store] in try store.truncate(order.key, from: lowest) }
        let brought = try await sync.bring(order.key, to: max(order.head, before), from: order.holders)
        return brought.generation >= before ? (.repaired, nil) : (.dropped, brought.reasons.joined(separator: "; "))
    }
}
