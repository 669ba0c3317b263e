import BlockingIO
import FarmAPI

// Copies of other agents' volumes, made when nobody waits for them.
extension VolumeService {
    /// Brings a generation here at the pace of the background, and says what is here then. Nothing happens while steps use the volume here:
    /// what they publish is newer.
    ///
    /// - Parameter bytesPerSecond: 0 for no limit. A step that wants the volume meanwhile lifts it.
    public func copy(_ order: CopyOrder, bytesPerSecond: Int64) async -> CopyOutcome {
        let pace = Pace(bytesPerSecond: wanted[order.key] == nil ? bytesPerSecond : 0)
        paces[order.key, default: []].append(pace)
        defer {
            paces[order.key]?.removeAll { $0 === pace }
            if paces[order.key]?.isEmpty == true { paces[order.key] = nil }
        }
        return await locked(order.key) {
            let here = store.generation(of: order.key)
            guard here < order.generation else { return CopyOutcome(key: order.key, generation: here, received: 0) }
            guard !isMounted(order.key) else {
                return CopyOutcome(key: order.key, generation: here, received: 0, error: "steps use it there just now")
            }
            do {
                let outcome = try await Pace.$current.withValue(pace) {
                    try await sync.bring(order.key, to: order.generation, from: order.holders)
                }
                if outcome.received > 0 { maintain(order.key) }
                let isThere = outcome.generation >= order.generation
                return CopyOutcome(
                    key: order.key, generation: outcome.generation, received: outcome.received,
                    error: isThere ? nil : outcome.reasons.joined(separator: "; "))
            } catch {
                return CopyOutcome(key: order.key, generation: store.generation(of: order.key), received: 0, error: "\(error)")
            }
        }
    }

    /// Somebody waits for these volumes: what is being copied comes as fast as it can.
    func hurry(_ keys: some Sequence<VolumeKey>) {
        for key in keys { for pace in paces[key] ?? [] { pace.lift() } }
    }
}
