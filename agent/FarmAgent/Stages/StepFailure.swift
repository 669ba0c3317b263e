import FileSteps
import FileTree
import Glibc
import OCI
import Sandbox

/// A step failed by itself: it would fail anywhere, and is not tried again.
struct StepFailure: Error {
    var message: String
    var exitCode: Int?

    /// The machine's troubles, which another may not have.
    private static let machineErrors: Set<Int32> = [ENOSPC, EDQUOT, EIO, EMFILE, ENFILE, ENOMEM, EROFS, ENODEV, EUCLEAN]

    /// Takes an error of the step's work for what it is: the step's own fault becomes a ``StepFailure``, the rest stays as it is.
    static func classify(_ error: any Error) -> any Error {
        switch error {
        case let error as SandboxError where !error.isOfMachine: StepFailure(message: "\(error)")
        case FileStepError.system(_, _, let code) where machineErrors.contains(code): error
        case FileStepError.contentsMissing, FileStepError.noSource: error
        case let error as FileStepError: StepFailure(message: "\(error)")
        case FileTreeError.notFound, FileTreeError.notDirectory, FileTreeError.tooManySymlinks: StepFailure(message: "\(error)")
        case let error as LayerError:
            if case .system(_, _, let code) = error, machineErrors.contains(code) { error } else { StepFailure(message: "\(error)") }
        default: error
        }
    }
}

/// A step's failure with its place in the Dockerfile.
struct StepFailureAt: Error {
    var failure: StepFailure
    var lines: ClosedRange<Int>
}
