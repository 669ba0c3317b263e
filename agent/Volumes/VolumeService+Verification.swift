import BlockingIO
import FarmAPI
import TreeSync

// Volumes read in full, and mended.
extension VolumeService {
    /// Reads everything of a volume here and compares it with its manifests. What is damaged is removed, and brought again from others.
    public func verify(_ order: VerifyOrder) async -> VerifyReport {
        guard let snapshot = store.snapshot(of: order.key) else {
            return VerifyReport(
                id: order.id, generation: 0, left: 0, files: 0, bytes: 0, damage: [], outcome: .unverified, error: "it is not here any more"
            )
        }
        var report = VerifyReport(
            id: order.id, generation: snapshot.generation, left: snapshot.generation, files: 0, bytes: 0, damage: [], outcome: .sound)
        do {
            let findings = try await BlockingPool.shared.run { [store] in try store.check(snapshot) }
            report.files = findings.names
            report.bytes = findings.bytes
            report.damage = findings.faults.prefix(VolumeVerification.damageLimit).map {
                VolumeDamage(path: TreePaths.text($0.path), what: $0.what)
            }
            guard let lowest = findings.lowest else { return report }
            logger.error(
                "volume is damaged",
                metadata: ["project": "\(order.key.project)", "volume": "\(order.key.id)", "damage": "\(report.damage.prefix(3))"])
            try await mend(order, lowest, &report)
        } catch {
            report.outcome = report.damage.isEmpty ? .unverified : .damaged
            report.error = "\(error)"
        }
        return report
    }

    private func mend(_ order: VerifyOrder, _ lowest: String, _ report: inout VerifyReport) async throws {
        let before = report.generation
        let (outcome, left, error) = try await locked(order.key) { () -> (VolumeVerification.Outcome, Int, String?) in
            guard !isMounted(order.key) else {
                return (.damaged, before, "a step uses it there now: verify it again when none does")
            }
            await settle(order.key)
            try await BlockingPool.shared.run { [store] in try store.truncate(order.key, from: lowest) }
            let brought = try await sync.bring(order.key, to: max(order.head, before), from: order.holders)
            await announce(order.key, brought.generation)
            if brought.generation >= before {
                maintain(order.key)
                return (.repaired, brought.generation, nil)
            }
            return (.dropped, brought.generation, brought.notes.joined(separator: "; "))
        }
        report.outcome = outcome
        report.left = left
        report.error = error
    }
}
