import Daemon
import Testing

@testable import FarmAgent

struct ConfigurationTests {
    private func read(
        _ file: [(String, String)] = [], environment: [String: String] = [:], flags: [String: String] = [:]
    ) throws(ConfigurationError) -> AgentConfiguration {
        let text = file.map { "\($0.0): '\($0.1)'\n" }.joined()
        return try AgentConfiguration(file: ("agent.yaml", text), environment: { environment[$0] }, flags: flags)
    }

    @Test func `flags win over the environment, and that over the file`() throws {
        let file = [("slots", "1"), ("data", "/file"), ("runtime", "crun")]
        let read = try read(file, environment: ["FARM_DATA": "/environment", "FARM_SLOTS": "2"], flags: ["slots": "3"])
        #expect(read.slots == 3)
        #expect(read.data == "/environment")
        #expect(read.runtime == "crun")
    }

    @Test func `every setting has a variable of its own`() {
        #expect(Set(AgentConfiguration.settings.map(\.variable)).count == AgentConfiguration.settings.count)
        #expect(AgentConfiguration.setting("layer-cache-size")?.variable == "FARM_LAYER_CACHE_SIZE")
    }

    @Test func `an unknown key is an error that names it`() {
        #expect { try read([("slot", "1")]) } throws: { "\($0)".contains("agent.yaml: there is no setting 'slot'") }
    }

    @Test(arguments: [
        ("slots", "0"), ("slots", "many"), ("coordinator", "host"), ("coordinator", "host:99999"), ("listen", ":1"), ("labels", "a"),
        ("labels", "=b"), ("runtime", "docker"), ("layer-cache-size", "-1"), ("layer-cache-size", "9999999T"), ("step-cores", "0"),
        ("cpus", "0"), ("cpus", "nan"), ("cpus", "inf"), ("cpus", "1e9"), ("memory", "0"), ("memory", "much"), ("emulate", "arm64"),
        ("emulate", "windows/amd64"),
        ("log-format", "xml"), ("log-level", "loud"), ("data", ""), ("volume-high", "0%"), ("volume-low", "101%"), ("volume-high", "much"),
    ]) func `bad values are refused by name`(key: String, value: String) {
        #expect { try read([(key, value)]) } throws: { "\($0)".contains("'\(key)'") }
    }

    @Test func `labels may be a mapping`() throws {
        let text = "labels:\n  disk: ssd\n  zone: a\n"
        let read = try AgentConfiguration(file: ("agent.yaml", text), environment: { _ in nil }, flags: [:])
        #expect(read.labels == ["disk": "ssd", "zone": "a"])
        #expect(throws: ConfigurationError.self) {
            try AgentConfiguration(file: ("agent.yaml", "labels: {a: [b]}"), environment: { _ in nil }, flags: [:])
        }
    }

    @Test func `disks have marks as shares or as bytes of volumes`() throws {
        let read = try read([("volume-high", "80%"), ("volume-low", "20G")])
        #expect(read.volumeHigh == .share(0.8) && read.volumeLow == .bytes(20 << 30))
        // A reserve of the file system counts neither as used nor as there.
        let disk = DiskSpace(used: 900, available: 100, free: 150)
        #expect(read.volumeHigh.excess(of: disk, volumes: 5) == 100)
        #expect(DiskMark.share(0.95).excess(of: disk, volumes: 5) == -50)
        #expect(DiskMark.bytes(3).excess(of: disk, volumes: 5) == 2)
    }

    @Test func `values of all kinds are read`() throws {
        let read = try read([
            ("coordinator", "[::1]:1"), ("advertise", "host.example:2"), ("labels", "disk=ssd,zone=a=b"), ("layer-cache-size", "2GiB"),
            ("step-cores", "1.5"), ("step-memory", "512M"), ("log-format", "json"),
            ("cpus", "7.5"), ("memory", "12G"), ("emulate", "linux/arm64/v8, linux/riscv64,linux/arm64"),
        ])
        #expect(read.coordinator == Endpoint(host: "::1", port: 1))
        #expect(read.advertise?.description == "host.example:2")
        #expect(read.labels == ["disk": "ssd", "zone": "a=b"])
        #expect(read.layerCacheSize == 2 << 30)
        #expect(read.stepCores == 1.5)
        #expect(read.stepMemory == 512 << 20)
        #expect(read.logFormat == .json)
        #expect(read.cpus == 7.5)
        #expect(read.memory == 12 << 30)
        #expect(read.emulate.map(\.description) == ["linux/arm64", "linux/riscv64"])
    }
}
