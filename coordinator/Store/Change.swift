import GRDB

/// One change of the database, to be written with others: ``Store/write(_:)``.
public struct Change: Sendable {
    let apply: @Sendable (Database) throws -> Void
    init(_ apply: @escaping @Sendable (Database) throws -> Void) { self.apply = apply }

    init(sql: String, _ arguments: (any DatabaseValueConvertible & Sendable)?...) {
        apply = { db in
            try db.cachedStatement(sql: sql).execute(arguments: StatementArguments(arguments.map { $0?.databaseValue ?? .null }))
        }
    }
}
