import Testing

@testable import Daemon

@Suite("Settings")
struct SettingsTests {
    private struct Kitchen: Configurable, Equatable {
        var oven = "off"
        var timer: Int?
        var spices: [String: String] = [:]
        var given: Set<String> = []

        mutating func complete(given: Set<String>) { self.given = given }

        static let settings: [Setting<Kitchen>] = [
            .path("oven-path", "the oven", \.oven),
            Setting("timer", "minutes", expected: "a number", optional: \.timer) { Int($0) },
            Setting("spices", "what is there", expected: "NAME=VALUE", takesMapping: true, \.spices) { ["all": $0] },
        ]
    }

    private func read(
        _ text: String?, environment: [String: String] = [:], flags: [String: String] = [:]
    ) throws(ConfigurationError) -> Kitchen {
        try Kitchen(file: text.map { ("kitchen.yaml", $0) }, environment: { environment[$0] }, flags: flags)
    }

    @Test func `a flag counts before the environment, that before the file, that before the default`() throws {
        #expect(try read(nil).oven == "off")
        #expect(try read("oven-path: a").oven == "a")
        #expect(try read("oven-path: a", environment: ["FARM_OVEN_PATH": "b"]).oven == "b")
        #expect(try read("oven-path: a", environment: ["FARM_OVEN_PATH": "b"], flags: ["oven-path": "c"]).oven == "c")
    }

    @Test func `what was given is known when the rest is filled`() throws {
        #expect(try read("timer: 1", flags: ["oven-path": "c"]).given == ["timer", "oven-path"])
    }

    @Test func `a field that is optional stays nil until it is set, and a bad value does not unset it`() throws {
        #expect(try read("oven-path: a").timer == nil)
        #expect(try read("timer: 3").timer == 3)
        #expect(throws: ConfigurationError.badValue(key: "timer", value: "x", source: "kitchen.yaml", expected: "a number")) {
            try read("timer: x")
        }
    }

    @Test func `only a setting that says so may be a mapping`() throws {
        #expect(try read("spices: {salt: 1, pepper: 2}").spices == ["all": "salt=1,pepper=2"])
        #expect(throws: ConfigurationError.self) { try read("timer: {a: 1}") }
    }

    @Test(arguments: [("timr", "timer"), ("oven", nil), ("ovenpath", "oven-path")] as [(String, String?)])
    func `the nearest name is suggested, when there is one near`(_ key: String, _ nearest: String?) {
        #expect(throws: ConfigurationError.unknownKey(key, source: "--\(key)", nearest: nearest)) { try read(nil, flags: [key: "1"]) }
    }

    @Test func `a file that can't be read is named with the reason`() {
        #expect { try Kitchen.load(path: "/nowhere/kitchen.yaml", flags: [:]) } throws: {
            "\($0)" == "/nowhere/kitchen.yaml: No such file or directory"
        }
        #expect(throws: ConfigurationError.self) { try Kitchen.load(path: "/", flags: [:]) }
    }
}
