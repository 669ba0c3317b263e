import Testing

@testable import Daemon

@Suite("Log lines")
struct LogLineTests {
    @Test(arguments: LogFormat.allCases)
    func `An event is one line, whatever is in it`(_ format: LogFormat) {
        let line = StandardErrorLog.line(
            format, time: .epoch, level: .info, label: "test", message: "two\nlines\u{1b}[31m", fields: ["name": "a \"b\"\n"])
        #expect(line.filter { $0 == "\n" }.count == 1)
        #expect(line.hasSuffix("\n"))
        #expect(!line.contains("\u{1b}"))
    }

    @Test func `JSON has the event's own fields`() {
        let line = StandardErrorLog.line(.json, time: .epoch, level: .error, label: "l", message: "m", fields: ["build": "b1"])
        #expect(line == #"{"build":"b1","label":"l","level":"error","message":"m","time":"1970-01-01T00:00:00Z"}"# + "\n")
    }
}
