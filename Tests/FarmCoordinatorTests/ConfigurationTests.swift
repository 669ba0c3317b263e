import Testing

@testable import FarmCoordinator

@Suite("Settings come from a file, the environment and flags")
struct ConfigurationTests {
    private func read(
        _ text: String? = nil, environment: [String: String] = [:], flags: [String: String] = [:]
    ) throws(ConfigurationError) -> CoordinatorConfiguration {
        try CoordinatorConfiguration(file: text.map { ("farm.yaml", $0) }, environment: environment, flags: flags)
    }

    @Test func `A flag counts before the environment, that before the file, that before the default`() throws {
        #expect(try read().logFormat == .text)
        #expect(try read("log-level: debug\n").logLevel == .debug)
        #expect(try read("log-level: debug\n", environment: ["FARM_LOG_LEVEL": "error"]).logLevel == .error)
        let all = try read("log-level: debug", environment: ["FARM_LOG_LEVEL": "error"], flags: ["log-level": "trace"])
        #expect(all.logLevel == .trace)
    }

    @Test func `Files lie in the data directory unless they are named`() throws {
        let configuration = try read("data: /srv/farm\nkey: /etc/farm/key.pem\n")
        #expect(configuration.authority == "/srv/farm/authority/authority.pem")
        #expect(configuration.key == "/etc/farm/key.pem")
    }

    @Test func `An unknown setting is an error that names the nearest`() {
        #expect(throws: ConfigurationError.unknownKey("lissten", source: "farm.yaml", nearest: "listen")) { try read("lissten: a:1") }
        #expect(throws: ConfigurationError.unknownKey("colour", source: "farm.yaml", nearest: nil)) { try read("colour: red") }
    }

    @Test(arguments: [
        "listen: nowhere", "listen: ':80'", "listen: 'a:99999'", "log-format: xml", "log-level: loud", "image-limit: -1", "image-limit: 1X",
        "data: ''",
    ])
    func `A value that makes no sense is an error`(_ text: String) {
        #expect(throws: ConfigurationError.self) { try read(text) }
    }

    @Test(arguments: ["- a\n", "data: [a]\n", "data: {a: b}\n", "data: a\ndata: b\n", "{", "just text"])
    func `What is no list of settings is an error`(_ text: String) {
        #expect(throws: ConfigurationError.self) { try read(text) }
    }

    @Test func `An empty file has no settings`() throws {
        #expect(try read("") == CoordinatorConfiguration())
        #expect(try read("# nothing\n") == CoordinatorConfiguration())
    }

    @Test(arguments: [
        ("127.0.0.1:80", Endpoint(host: "127.0.0.1", port: 80)), ("[::1]:7480", Endpoint(host: "::1", port: 7480)),
        ("farm.example.org:0", Endpoint(host: "farm.example.org", port: 0)),
    ])
    func `An endpoint is read and written the same`(_ text: String, _ endpoint: Endpoint) {
        #expect(Endpoint(text) == endpoint)
        #expect(endpoint.description == text)
    }

    @Test(arguments: ["", ":", "a", "a:", ":1", "::1:80", "[a]:1", "a:b", "a:70000", "a b:1", "a/b:1"])
    func `What is no endpoint is none`(_ text: String) { #expect(Endpoint(text) == nil) }

    @Test(arguments: [("0", 0), ("1024", 1024), ("1K", 1024), ("2MiB", 2 << 20), ("3gb", 3 << 30), ("1T", 1 << 40)] as [(String, Int64)])
    func `Bytes have units`(_ text: String, _ bytes: Int64) { #expect(ByteCount.parse(text) == bytes) }

    @Test(arguments: ["", "K", "-1", "1.5G", "1 G", "99999999999999999999", "9999999999T"])
    func `What is no number of bytes is none`(_ text: String) { #expect(ByteCount.parse(text) == nil) }

    @Test(
        arguments: [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (99_900 << 10, "97.6 MiB"), (1 << 40, "1.0 TiB")] as [(Int64, String)])
    func `Bytes are shown in three digits or so`(_ bytes: Int64, _ text: String) { #expect(ByteCount.format(bytes) == text) }
}

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
