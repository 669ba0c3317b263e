import Logging
import Volumes

extension VolumeLeasing {
    /// Runs a body with volumes, and gives them back however it ends, also when the task is cancelled.
    ///
    /// - Parameter say: gets what the step's output shall say of volumes that could not be saved as they should.
    func withLease<T: Sendable>(
        _ requests: [VolumeRequest], assignment: String, lock: String, logger: Logger, say: (String) -> Void,
        _ body: (VolumeLease) async throws -> T
    ) async throws -> T {
        let lease = try await acquire(requests, assignment: assignment, lock: lock)
        let result: Result<T, any Error>
        do { result = .success(try await body(lease)) } catch { result = .failure(error) }
        var isSpoiled = false
        if case .failure(AgentError.diskFull) = result { isSpoiled = true }
        // In a task of its own: also a step that was cancelled gives its locks back.
        let notes = await Task { [isSpoiled] () -> [String] in
            do {
                return try await isSpoiled ? discard(lease) : release(lease)
            } catch let error as NotSaved {
                return error.notes
            } catch {
                return ["a volume was not saved: \(error)"]
            }
        }.value
        for note in notes {
            logger.warning("volume", metadata: ["note": "\(note)", "assignment": "\(assignment)"])
            say(note)
        }
        return try result.get()
    }
}
