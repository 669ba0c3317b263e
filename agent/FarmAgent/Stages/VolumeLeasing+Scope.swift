import Logging
import Volumes

extension VolumeLeasing {
    /// Runs a body with volumes, and gives them back however it ends, also when the task is cancelled. What can't be published is logged.
    func withLease<T: Sendable>(
        _ requests: [VolumeRequest], assignment: String, lock: String, logger: Logger, _ body: (VolumeLease) async throws -> T
    ) async throws -> T {
        let lease = try await acquire(requests, assignment: assignment, lock: lock)
        let result: Result<T, any Error>
        do { result = .success(try await body(lease)) } catch { result = .failure(error) }
        var isSpoiled = false
        if case .failure(AgentError.diskFull) = result { isSpoiled = true }
        // In a task of its own: also a step that was cancelled gives its locks back.
        await Task { [isSpoiled] in
            do {
                if isSpoiled { try await discard(lease) } else { try await release(lease) }
            } catch {
                logger.warning("a volume was not published", metadata: ["error": "\(error)", "assignment": "\(assignment)"])
            }
        }.value
        return try result.get()
    }
}
