import FarmAPI
import Logging
import Synchronization
import Volumes

extension VolumeLeasing {
    /// Runs a body with volumes, and gives them back however it ends, also when the task is cancelled. Does not wait for that: what was
    /// written is hashed and published while the stage goes on.
    ///
    /// - Parameters:
    ///   - publications: is waited for before the stage ends, and here where it has one of these volumes.
    ///   - say: gets what the step's output shall say of volumes that could not be saved as they should.
    func withLease<T: Sendable>(
        _ requests: [VolumeRequest], assignment: String, lock: String, logger: Logger, publications: Publications,
        say: @escaping @Sendable (String) -> Void, _ body: (VolumeLease) async throws -> T
    ) async throws -> T {
        let keys = Set(requests.map(\.key))
        // The coordinator would answer for a generation that is about to be the last but one.
        await publications.settle(keys)
        let lease = try await acquire(requests, assignment: assignment, lock: lock)
        let result: Result<T, any Error>
        do { result = .success(try await body(lease)) } catch { result = .failure(error) }
        var isSpoiled = false
        if case .failure(AgentError.diskFull) = result { isSpoiled = true }
        // In a task of its own: also a step that was cancelled gives its locks back.
        publications.add(
            keys,
            Task { [isSpoiled] in
                for note in await notes(ofReleasing: lease, isSpoiled: isSpoiled) {
                    logger.warning("volume", metadata: ["note": "\(note)", "assignment": "\(assignment)"])
                    say(note)
                }
            })
        return try result.get()
    }

    private func notes(ofReleasing lease: VolumeLease, isSpoiled: Bool) async -> [String] {
        do {
            return try await isSpoiled ? discard(lease) : release(lease)
        } catch let error as NotSaved {
            return error.notes
        } catch {
            return ["a volume was not saved: \(error)"]
        }
    }
}

/// What the steps of a stage wrote to their volumes, on its way.
final class Publications: Sendable {
    // A lock: steps are one after the other, but a stage's end may come from elsewhere.
    private let pending = Mutex<[(keys: Set<VolumeKey>, task: Task<Void, Never>)]>([])

    func add(_ keys: Set<VolumeKey>, _ task: Task<Void, Never>) { pending.withLock { $0.append((keys, task)) } }

    /// Waits until what was written to any of these volumes is published.
    func settle(_ keys: Set<VolumeKey>) async {
        for task in pending.withLock({ $0.filter { !$0.keys.isDisjoint(with: keys) }.map(\.task) }) { await task.value }
    }

    /// Waits until everything is published.
    func settle() async {
        for task in pending.withLock({ $0.map(\.task) }) { await task.value }
    }
}
