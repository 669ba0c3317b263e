import Glibc
import GRDB
import Logging
import Synchronization

/// Changes on their way to the disk.
///
/// Groups are written in the order in which they were given. All that have come while one transaction was being synced share the
/// next: the cost of an fsync is divided among them.
final class Journal: Sendable {
    private struct Group {
        var changes: [Change]
        var commit: Commit
    }

    private struct State {
        var pending: [Group] = []
        var writing = false
        /// Nothing new is taken.
        var isClosed = false
        var trouble: String?
        /// What a check found: it does not pass.
        var damage: String?
    }

    /// Between attempts while the disk is full.
    static let retryMicroseconds: UInt32 = 250_000

    private let state = Mutex(State())
    private let pool: DatabasePool
    private let logger: Logger

    init(pool: DatabasePool, logger: Logger) {
        self.pool = pool
        self.logger = logger
    }

    /// Why nothing can be written at present.
    var trouble: String? { state.withLock { $0.damage ?? $0.trouble } }

    /// The file is damaged, and nothing new shall be begun on it.
    func found(damage: String) { state.withLock { $0.damage = damage } }

    func write(_ changes: [Change]) -> Commit { write(changes, isLast: false) }

    /// Takes nothing more from now on; what it returns is durable when all is that was taken before.
    func close() -> Commit { write([], isLast: true) }

    private func write(_ changes: [Change], isLast: Bool) -> Commit {
        let commit = Commit()
        let start = state.withLock { state in
            // Also where there is nothing to write: who waits for what another has written must not be told that it is on the disk.
            if state.isClosed, !isLast {
                commit.finish(.failure(StoreError.closed))
                return false
            }
            if isLast { state.isClosed = true }
            // Nothing is on its way: what there was to wait for is on the disk.
            if changes.isEmpty, !state.writing {
                commit.finish(.success(()))
                return false
            }
            state.pending.append(Group(changes: changes, commit: commit))
            if let trouble = state.trouble { commit.stumble(trouble) }
            defer { state.writing = true }
            return !state.writing
        }
        if start {
            // GRDB's writer queue is a thread that may block.
            pool.asyncWriteWithoutTransaction { [self] db in drain(db) }
        }
        return commit
    }

    private func drain(_ db: Database) {
        while true {
            let groups = state.withLock { state in
                defer { state.pending = [] }
                if state.pending.isEmpty { state.writing = false }
                return state.pending
            }
            if groups.isEmpty { return }
            if groups.allSatisfy(\.changes.isEmpty) {
                for group in groups { group.commit.finish(.success(())) }
                continue
            }
            switch attempt(groups, db) {
            case .success: for group in groups { group.commit.finish(.success(())) }
            case .failure:
                // One of them is at fault; the others must not suffer for it.
                for group in groups { group.commit.finish(attempt([group], db)) }
            }
        }
    }

    /// Tries for as long as the disk refuses: what is in memory already must not be lost because of a disk that is full for a while.
    private func attempt(_ groups: [Group], _ db: Database) -> Result<Void, any Error> {
        while true {
            do {
                try db.inTransaction(.immediate) {
                    for group in groups { for change in group.changes { try change.apply(db) } }
                    return .commit
                }
                set(trouble: nil)
                return .success(())
            } catch let error as DatabaseError where Self.passes(error) {
                let trouble =
                    "the coordinator can't write its database (\(error.message ?? "error \(error.resultCode)")): free some space on its disk"
                for group in groups { group.commit.stumble(trouble) }
                set(trouble: trouble)
                usleep(Self.retryMicroseconds)
            } catch {
                logger.error("the store refused a change", metadata: ["error": "\(error)"])
                return .failure(error)
            }
        }
    }

    private func set(trouble: String?) {
        let changed = state.withLock { state in
            defer { state.trouble = trouble }
            // Those that wait behind.
            for group in state.pending { group.commit.stumble(trouble) }
            return state.trouble != trouble
        }
        guard changed else { return }
        if let trouble { logger.error("\(trouble)") } else { logger.info("the database can be written again") }
    }

    private static func passes(_ error: DatabaseError) -> Bool {
        switch error.resultCode {
        case .SQLITE_FULL, .SQLITE_IOERR, .SQLITE_BUSY, .SQLITE_NOMEM, .SQLITE_LOCKED: true
        default: false
        }
    }
}
