/// Work that many may wait for and that is done once. It is cancelled when nobody waits for it any more.
actor SharedWork<Key: Hashable & Sendable, Value: Sendable> {
    private struct Item {
        /// Of this work among all: the same key may come again.
        var number: Int
        var task: Task<Value, any Error>
        /// The numbers of those who wait.
        var waiting: Set<Int> = []
    }

    private var underWay: [Key: Item] = [:]
    private var lastNumber = 0

    /// Keys that are worked on.
    var keys: Set<Key> { Set(underWay.keys) }

    /// How many wait for a key.
    func waiters(of key: Key) -> Int { underWay[key]?.waiting.count ?? 0 }

    /// The value of each key, each once. One that fails ends the wait; so does cancelling, unless others wait for the same.
    ///
    /// - Parameter work: gets the keys that nobody works on yet, if there are any, and gives the work of one.
    func values(
        of keys: [Key], _ work: @Sendable ([Key]) -> @Sendable (Key) async throws -> Value
    ) async throws -> [Value] {
        try Task.checkCancellation()
        let waiter = newNumber()
        let tasks = join(keys, as: waiter, work)
        defer { leave(waiter) }
        return try await withTaskCancellationHandler {
            var values: [Value] = []
            for task in tasks { values.append(try await task.value) }
            return values
        } onCancel: {
            Task { await self.leave(waiter) }
        }
    }

    private func join(
        _ keys: [Key], as waiter: Int, _ work: @Sendable ([Key]) -> @Sendable (Key) async throws -> Value
    ) -> [Task<Value, any Error>] {
        var seen: Set<Key> = []
        let unique = keys.filter { seen.insert($0).inserted }
        let new = unique.filter { underWay[$0] == nil }
        if !new.isEmpty {
            let body = work(new)
            for key in new {
                let number = newNumber()
                let task = Task {
                    defer { end(key, number) }
                    return try await body(key)
                }
                underWay[key] = Item(number: number, task: task)
            }
        }
        return unique.compactMap { key in
            underWay[key]?.waiting.insert(waiter)
            return underWay[key]?.task
        }
    }

    private func end(_ key: Key, _ number: Int) { if underWay[key]?.number == number { underWay[key] = nil } }

    private func leave(_ waiter: Int) {
        for (key, item) in underWay where item.waiting.contains(waiter) {
            underWay[key]?.waiting.remove(waiter)
            guard item.waiting.count == 1 else { continue }
            // Who wants it later begins anew.
            underWay[key] = nil
            item.task.cancel()
        }
    }

    private func newNumber() -> Int {
        lastNumber += 1
        return lastNumber
    }
}
