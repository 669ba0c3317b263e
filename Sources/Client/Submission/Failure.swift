import Synchronization

/// The first error of a thread, for the task that waits for it.
final class Failure: Sendable {
    private let first = Mutex<(any Error)?>(nil)

    var error: (any Error)? { first.withLock { $0 } }

    func set(_ error: any Error) { first.withLock { if $0 == nil { $0 = error } } }
}
