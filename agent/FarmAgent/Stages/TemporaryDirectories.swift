import BlockingIO
import Sandbox
import Synchronization

/// werf's tmp_dir: directories that are empty when an assignment begins, one for each target, shared by its steps and gone with it.
///
/// They lie where running steps have their files, which is emptied when an agent starts: also those of one that was killed are gone then.
final class TemporaryDirectories: Sendable {
    private struct State {
        var folder: WorkFolder?
        var paths: [String: String] = [:]
    }

    private let services: StageServices
    private let state = Mutex(State())

    init(services: StageServices) { self.services = services }

    /// The directory of a target.
    func path(for target: String) async throws -> String {
        try await BlockingPool.shared.run { [self] in
            // The steps of an assignment come one after another: nobody waits here.
            try state.withLock { state in
                if let path = state.paths[target] { return path }
                let folder = try state.folder ?? WorkFolder(services.workPath())
                state.folder = folder
                let path = try folder.directory("\(state.paths.count)")
                state.paths[target] = path
                return path
            }
        }
    }

    /// Removes all, also in a task that was cancelled.
    func remove() async {
        let folder = state.withLock { state in
            defer { state = State() }
            return state.folder
        }
        guard let folder else { return }
        _ = try? await BlockingPool.shared.run { folder.remove() }
    }
}
