import FoundationEssentials
import NIOCore

/// JSON as Farm's programs speak it: keys sorted, slashes as they are, one line.
public enum FarmJSON {
    /// The value as one line of JSON, without a line feed.
    public static func encode(_ value: some Encodable) throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return Array(try encoder.encode(value))
    }

    /// The value as JSON for people: indented, keys sorted.
    public static func encodePretty(_ value: some Encodable) throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes, .prettyPrinted]
        return Array(try encoder.encode(value))
    }

    /// Reads a whole JSON text; throws ``FarmJSONError`` that names the place of what is wrong.
    public static func decode<T: Decodable>(_ type: T.Type, from bytes: some Sequence<UInt8>) throws -> T {
        do {
            return try JSONDecoder().decode(type, from: Data(bytes))
        } catch let error as DecodingError {
            throw FarmJSONError(error)
        }
    }

    /// Reads a whole JSON text.
    public static func decode<T: Decodable>(_ type: T.Type, from buffer: ByteBuffer) throws -> T {
        try decode(type, from: buffer.readableBytesView)
    }
}

/// JSON that is not what was expected.
public struct FarmJSONError: Error, Sendable, CustomStringConvertible {
    public let description: String

    init(_ error: DecodingError) {
        func place(_ context: DecodingError.Context) -> String {
            context.codingPath.isEmpty ? "the top level" : context.codingPath.map(\.stringValue).joined(separator: ".")
        }
        description =
            switch error {
            case .typeMismatch(let type, let context): "at \(place(context)): expected \(type)"
            case .valueNotFound(let type, let context): "at \(place(context)): \(type) is missing"
            case .keyNotFound(let key, let context): "at \(place(context)): key '\(key.stringValue)' is missing"
            case .dataCorrupted(let context): "at \(place(context)): \(context.debugDescription)"
            @unknown default: "\(error)"
            }
    }
}
