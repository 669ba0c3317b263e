/// One holder at a time for each key; waiting tasks go in their order. Part of an actor's state.
struct KeyedLock<Key: Hashable> {
    private struct Waiting {
        var number: Int
        var continuation: CheckedContinuation<Bool, Never>
    }

    private var waiting: [Key: [Waiting]] = [:]
    private var lastNumber = 0

    /// True when it was free and is taken now; else the caller waits in ``enqueue(_:_:_:)``.
    mutating func tryLock(_ key: Key) -> Bool {
        guard waiting[key] == nil else { return false }
        waiting[key] = []
        return true
    }

    /// For someone who is about to wait.
    mutating func newNumber() -> Int {
        lastNumber += 1
        return lastNumber
    }

    /// The continuation is resumed with true when the lock is taken, with false by ``giveUp(_:_:)``.
    mutating func enqueue(_ key: Key, _ number: Int, _ continuation: CheckedContinuation<Bool, Never>) {
        waiting[key, default: []].append(Waiting(number: number, continuation: continuation))
    }

    /// Ends a wait; nothing where it is over.
    mutating func giveUp(_ key: Key, _ number: Int) {
        guard let index = waiting[key]?.firstIndex(where: { $0.number == number }) else { return }
        waiting[key]?.remove(at: index).continuation.resume(returning: false)
    }

    /// How many wait for it.
    func waiting(for key: Key) -> Int { waiting[key]?.count ?? 0 }

    mutating func unlock(_ key: Key) {
        guard var queue = waiting[key] else { return }
        guard !queue.isEmpty else {
            waiting[key] = nil
            return
        }
        let next = queue.removeFirst()
        waiting[key] = queue
        next.continuation.resume(returning: true)
    }
}
