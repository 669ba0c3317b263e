import Daemon
import Testing

@testable import FarmCoordinator

@Suite("Settings come from a file, the environment and flags")
struct ConfigurationTests {
    private func read(
        _ text: String? = nil, environment: [String: String] = [:], flags: [String: String] = [:]
    ) throws(ConfigurationError) -> CoordinatorConfiguration {
        try CoordinatorConfiguration(file: text.map { ("farm.yaml", $0) }, environment: { environment[$0] }, flags: flags)
    }

    @Test func `A flag counts before the environment, that before the file, that before the default`() throws {
        #expect(try read().logFormat == .text)
        #expect(try read("log-level: debug\n").logLevel == .debug)
        #expect(try read("log-level: debug\n", environment: ["FARM_LOG_LEVEL": "error"]).logLevel == .error)
        let all = try read("log-level: debug", environment: ["FARM_LOG_LEVEL": "error"], flags: ["log-level": "trace"])
        #expect(all.logLevel == .trace)
    }

    @Test func `Leases, attempts and retention can be set, and a short lease has quick heartbeats`() throws {
        let engine = try read("lease: 5\nattempts: 7\nbuild-retention: 2\nupload-timeout: 9\n").engine
        #expect(engine.lease == 5 && engine.heartbeat == 1)
        #expect(engine.maximumAttempts == 7 && engine.buildRetention == 2 * 86_400 && engine.contentsTimeout == 9)
    }

    @Test func `Connections can be limited`() throws {
        let all = try read("max-connections: 100\nidle-timeout: 20\n", flags: ["max-streams": "64"])
        #expect(all.maximumConnections == 100 && all.idleTimeout == 20 && all.maximumStreams == 64)
        #expect(throws: ConfigurationError.self) { try read("max-connections: 0\n") }
        #expect(throws: ConfigurationError.self) { try read("idle-timeout: 0\n") }
    }

    @Test func `Copies and quotas of volumes can be set`() throws {
        let engine = try read(
            "volume-copies: 3\ncopy-settle: 0\ncopy-concurrency: 2\nvolume-quota: 10G\nvolume-quotas: {app: 5G, a=b: 0}\nvolume-quota-low: 50\n"
        ).engine
        #expect(engine.copies.copies == 3 && engine.copies.settle == 0 && engine.copies.concurrency == 2)
        #expect(engine.quotas.limit(of: "app") == 5 << 30)
        #expect(engine.quotas.limit(of: "a=b") == nil)
        #expect(engine.quotas.limit(of: "other") == 10 << 30)
        #expect(engine.quotas.low == 0.5)
        #expect(CoordinatorConfiguration().engine.quotas.limit(of: "other") == nil)
    }

    @Test func `Shares, limits and what placement assumes can be set`() throws {
        let policy = try read(
            "project-weights: {app: 3, a=b: 0.5}\nuser-weights: 'ci=0.25, anna=2'\nproject-limit: 4\nproject-limits: {app: 10, free: 0}\n"
                + "assumed-bandwidth: 1G\nemulation-factor: 20\npreference: 60\n"
        ).engine.scheduling
        #expect(policy.weights == ["app": 3, "a=b": 0.5] && policy.userWeights == ["ci": 0.25, "anna": 2])
        #expect(policy.defaultLimit == 4 && policy.limits == ["app": 10, "free": .max])
        #expect(policy.bandwidth == Double(1 << 30) && policy.emulation == 20 && policy.preference == 60)
        #expect(try read("project-limit: 0\n").engine.scheduling.defaultLimit == nil)
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
        "data: ''", "lease: 1", "lease: soon", "attempts: 0", "attempts: 1.5", "build-retention: 0", "upload-timeout: -1",
        "volume-copies: 0", "copy-settle: -1", "volume-quotas: {app: many}", "volume-quotas: 5G", "volume-quota: -1",
        "volume-quota-low: 101", "project-weights: {app: 0}", "project-weights: 'app=1,app=2'", "user-weights: {ci: nan}",
        "user-weights: {ci: -1}", "user-weights: ci", "project-limits: {app: 1.5}", "project-limits: {app: -1}", "project-limit: -1",
        "assumed-bandwidth: 0", "emulation-factor: 0.5", "preference: -1",
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
}
