import Synchronization

/// A group of changes on its way to the disk; ``durable()`` returns when it has arrived.
public final class Commit: Sendable {
    private enum State {
        case open(Waiting)
        case done(Result<Void, any Error>)
    }

    private struct Waiting {
        var patient: [CheckedContinuation<Void, any Error>] = []
        /// Those who rather hear that the disk is full than wait until it is not.
        var impatient: [CheckedContinuation<Void, any Error>] = []
        var trouble: String?
    }

    private let state = Mutex(State.open(Waiting()))

    init() {}

    /// Returns when the changes and all that were written before them are on the disk.
    ///
    /// - Parameter patiently: whether to wait for as long as the disk refuses. The changes are written sooner or later, also when this throws.
    /// - Throws: what the database said when it refused these changes; ``StoreError/unwritable(_:)`` for who is not patient.
    public func durable(patiently: Bool = true) async throws {
        try await withCheckedThrowingContinuation { continuation in
            let result = state.withLock { state -> Result<Void, any Error>? in
                switch state {
                case .open(var waiting):
                    if !patiently, let trouble = waiting.trouble { return .failure(StoreError.unwritable(trouble)) }
                    if patiently { waiting.patient.append(continuation) } else { waiting.impatient.append(continuation) }
                    state = .open(waiting)
                    return nil
                case .done(let result): return result
                }
            }
            if let result { continuation.resume(with: result) }
        }
    }

    /// The disk refuses for now: nil when it does no more.
    func stumble(_ trouble: String?) {
        let told = state.withLock { state -> [CheckedContinuation<Void, any Error>] in
            guard case .open(var waiting) = state else { return [] }
            let told = trouble == nil ? [] : waiting.impatient
            waiting.trouble = trouble
            waiting.impatient.removeAll { _ in trouble != nil }
            state = .open(waiting)
            return told
        }
        guard let trouble else { return }
        for continuation in told { continuation.resume(throwing: StoreError.unwritable(trouble)) }
    }

    func finish(_ result: Result<Void, any Error>) {
        let waiting = state.withLock { state -> [CheckedContinuation<Void, any Error>] in
            guard case .open(let waiting) = state else { return [] }
            state = .done(result)
            return waiting.patient + waiting.impatient
        }
        for continuation in waiting { continuation.resume(with: result) }
    }
}
