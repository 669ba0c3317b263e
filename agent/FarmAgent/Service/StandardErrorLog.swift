import BuildPlan
import FarmAPI
import Glibc
import Logging

/// The form of log lines.
public enum LogFormat: String, Sendable, CaseIterable {
    /// `2026-01-02T03:04:05.678Z info agent: stage ended outcome=succeeded`
    case text
    /// One JSON object a line.
    case json
}

/// Writes each event as one line to standard error, by one write(2), so that lines of several threads do not mix.
public struct StandardErrorLog: LogHandler {
    public var logLevel: Logger.Level
    public var metadata: Logger.Metadata = [:]
    private let label: String
    private let format: LogFormat

    public init(label: String, format: LogFormat, level: Logger.Level) {
        self.label = label
        self.format = format
        logLevel = level
    }

    public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    public func log(event: LogEvent) {
        let fields = metadata.merging(event.metadata ?? [:]) { $1 }.mapValues(\.description)
        let line = Self.line(format, time: .now, level: event.level, label: label, message: event.message.description, fields: fields)
        _ = line.withCString { Glibc.write(STDERR_FILENO, $0, strlen($0)) }
    }

    /// One line with its newline; control characters of what is logged are escaped, so that it stays one.
    static func line(
        _ format: LogFormat, time: Timestamp, level: Logger.Level, label: String, message: String, fields: [String: String]
    ) -> String {
        switch format {
        case .text:
            let tail = fields.sorted { $0.key < $1.key }.map { " \($0.key)=\(plain($0.value))" }.joined()
            return "\(time) \(level) \(label): \(plain(message))\(tail)\n"
        case .json:
            let own = ["time": time.description, "level": level.rawValue, "label": label, "message": message]
            // Text by text always encodes; were it not so, an event without its fields is better than none.
            guard let bytes = try? FarmJSON.encode(fields.merging(own) { $1 }) else { return message + "\n" }
            return String(decoding: bytes, as: UTF8.self) + "\n"
        }
    }

    private static func plain(_ text: String) -> String {
        text.unicodeScalars.map { $0.properties.generalCategory == .control ? $0.escaped(asASCII: true) : String($0) }.joined()
    }
}

extension Timestamp {
    /// The wall clock.
    static var now: Timestamp {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Timestamp(seconds: Int64(time.tv_sec), nanoseconds: Int64(time.tv_nsec))
    }
}
