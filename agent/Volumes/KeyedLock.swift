/// One holder at a time for each key; waiting tasks go in their order. Part of an actor's state.
struct KeyedLock<Key: Hashable> {
    private var waiting: [Key: [CheckedContinuation<Void, Never>]] = [:]

    /// True when it was free and is taken now; else the caller waits in ``enqueue(_:_:)``.
    mutating func tryLock(_ key: Key) -> Bool {
        guard waiting[key] == nil else { return false }
        waiting[key] = []
        return true
    }

    /// The continuation is resumed with the lock taken.
    mutating func enqueue(_ key: Key, _ continuation: CheckedContinuation<Void, Never>) { waiting[key, default: []].append(continuation) }

    mutating func unlock(_ key: Key) {
        guard var queue = waiting[key] else { return }
        guard !queue.isEmpty else {
            waiting[key] = nil
            return
        }
        let next = queue.removeFirst()
        waiting[key] = queue
        next.resume()
    }
}
