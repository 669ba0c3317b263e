import BuildPlan
import Digests
import FarmAPI
import Foundation
import Glibc
import GRDB

extension Digest: DatabaseValueConvertible {
    /// 32 bytes.
    public var databaseValue: DatabaseValue { Data(bytes).databaseValue }
    /// Takes exactly 32 bytes.
    public static func fromDatabaseValue(_ value: DatabaseValue) -> Digest? { Data.fromDatabaseValue(value).flatMap { Digest(bytes: $0) } }
}

extension Timestamp: DatabaseValueConvertible {
    /// Nanoseconds since 1970.
    public var databaseValue: DatabaseValue { nanoseconds.databaseValue }
    /// Takes an integer.
    public static func fromDatabaseValue(_ value: DatabaseValue) -> Timestamp? {
        Int64.fromDatabaseValue(value).map(Timestamp.init(nanoseconds:))
    }
}

extension Timestamp {
    /// The system's clock.
    static func ofWallClock() -> Timestamp {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Timestamp(seconds: Int64(time.tv_sec), nanoseconds: Int64(time.tv_nsec))
    }
}

extension Platform: DatabaseValueConvertible {
    /// `os/architecture[/variant]`
    public var databaseValue: DatabaseValue { description.databaseValue }
    /// Takes the text.
    public static func fromDatabaseValue(_ value: DatabaseValue) -> Platform? { String.fromDatabaseValue(value).flatMap { Platform($0) } }
}

/// A value kept as JSON text.
struct JSON<Value: Codable & Sendable>: DatabaseValueConvertible, Sendable {
    var value: Value
    init(_ value: Value) { self.value = value }

    var databaseValue: DatabaseValue {
        // The stored types are plain values: encoding them can't fail. If one does, NULL breaks the column's NOT NULL.
        (try? FarmJSON.encode(value)).map { String(decoding: $0, as: UTF8.self).databaseValue } ?? .null
    }

    static func fromDatabaseValue(_ value: DatabaseValue) -> JSON? {
        guard let text = String.fromDatabaseValue(value), let decoded = try? FarmJSON.decode(Value.self, from: Array(text.utf8)) else {
            return nil
        }
        return JSON(decoded)
    }
}

extension Row {
    /// The column's value, or an error that names the column: a damaged row must not end the process.
    func value<Value: DatabaseValueConvertible>(_ column: String, _ type: Value.Type = Value.self) throws -> Value {
        let stored: DatabaseValue = self[column]
        guard let value = Value.fromDatabaseValue(stored) else {
            throw DatabaseError(resultCode: .SQLITE_CORRUPT, message: "column \(column) can't be read as \(type)")
        }
        return value
    }

    /// The same for a column that may be NULL.
    func optional<Value: DatabaseValueConvertible>(_ column: String, _ type: Value.Type = Value.self) throws -> Value? {
        let stored: DatabaseValue = self[column]
        return stored.isNull ? nil : try value(column, type)
    }
}
