import BuildPlan
import FarmAPI
import Glibc
import Logging

/// The form of log lines.
public enum LogFormat: String, Sendable, CaseIterable {
    /// `2026-01-02T03:04:05.678Z info build 7f3a: queued project=app`
    case text
    /// One JSON object a line: `time`, `level`, `label`, `message` and the event's own fields.
    case json
}

/// Writes each event as one line to standard error, by one write(2), so that lines of several threads do not mix.
public struct StandardErrorLog: LogHandler {
    public var logLevel: Logger.Level
    public var metadata: Logger.Metadata = [:]
    private let label: String
    private let format: LogFormat

    /// A log under a label, of events from a level on.
    public init(label: String, format: LogFormat, level: Logger.Level) {
        self.label = label
        self.format = format
        logLevel = level
    }

    /// A field that all events have.
    public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    /// Writes one line; what can't be written is lost.
    public func log(event: LogEvent) {
        let fields = metadata.merging(event.metadata ?? [:]) { $1 }
        let line = Self.line(
            format, time: .now, level: event.level, label: label, message: event.message.description,
            fields: fields.mapValues(\.description))
        _ = line.withCString { Glibc.write(STDERR_FILENO, $0, strlen($0)) }
    }

    /// One line with its newline; control characters of what is logged are escaped, so that it stays one.
    static func line(
        _ format: LogFormat, time: Timestamp, level: Logger.Level, label: String, message: String, fields: [String: String]
    ) -> String {
        switch format {
        case .text:
            let tail = fields.sorted { $0.key < $1.key }.map { " \($0.key)=\(quoted($0.value))" }.joined()
            return "\(time) \(level) \(label): \(plain(message))\(tail)\n"
        case .json:
            var object = fields
            object["time"] = time.description
            object["level"] = level.rawValue
            object["label"] = label
            object["message"] = message
            // Text by text always encodes; were it not so, an event without its fields is better than none.
            guard let bytes = try? FarmJSON.encode(object) else { return message + "\n" }
            return String(decoding: bytes, as: UTF8.self) + "\n"
        }
    }

    private static func plain(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: { $0.properties.generalCategory == .control }) else { return text }
        return text.unicodeScalars.map { scalar in
            switch scalar {
            case "\n": "\\n"
            case "\t": "\\t"
            case _ where scalar.properties.generalCategory == .control: "\\u{\(String(scalar.value, radix: 16))}"
            default: String(scalar)
            }
        }.joined()
    }

    private static func quoted(_ text: String) -> String {
        let text = plain(text)
        guard text.isEmpty || text.contains(where: { $0 == " " || $0 == "\"" || $0 == "=" }) else { return text }
        return "\"" + text.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\\\"") + "\""
    }
}

extension Timestamp {
    /// The wall clock, in milliseconds: what logs and records need.
    public static var now: Timestamp {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Timestamp(seconds: Int64(time.tv_sec), nanoseconds: Int64(time.tv_nsec) / 1_000_000 * 1_000_000)
    }
}
