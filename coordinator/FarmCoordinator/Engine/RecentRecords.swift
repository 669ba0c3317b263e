import Digests
import Store

/// The newest records, in memory: who asked the store a moment before one was written must not take the step for one that nobody made.
struct RecentRecords {
    /// Far more than are made while one question to the store takes; some 200 bytes each.
    static let limit = 4096

    private var records: [Digest: StoredRecord] = [:]
    /// Keys in the order of their first record, from `first` on.
    private var keys: [Digest] = []
    private var first = 0

    /// The record, if it is one of the newest.
    subscript(key: Digest) -> StoredRecord? { records[key] }

    /// A record was made. A later one of the same key takes its place.
    mutating func insert(_ record: StoredRecord) {
        if records.updateValue(record, forKey: record.key) == nil { keys.append(record.key) }
        guard records.count > Self.limit else { return }
        records[keys[first]] = nil
        first += 1
        guard first > Self.limit else { return }
        keys.removeFirst(first)
        first = 0
    }
}
