import Daemon
import FarmAPI
import Glibc
import Testing

@testable import FarmCoordinator

@Suite("A new farm's files")
struct FarmSetupTests {
    private func with(_ body: (_ directory: String) throws -> Void) throws {
        let directory = try TestFarm.temporaryDirectory()
        defer { TestFarm.remove(directory) }
        try body(directory)
    }

    private func mode(_ path: String) -> mode_t {
        var info = stat()
        return stat(path, &info) == 0 ? info.st_mode & 0o777 : 0
    }

    private let endpoint = Endpoint(host: "0.0.0.0", port: 7480)

    @Test func `Keys are for their owner only`() throws {
        try with { directory in
            let made = try FarmSetup.initialize(data: "\(directory)/a/b", listen: endpoint, names: ["farm.example.org"], client: "admin")
            let layout = DataLayout(data: "\(directory)/a/b")
            for key in [layout.key, layout.authorityKey, layout.grantKey, "\(directory)/a/b/clients/admin/key.pem"] {
                #expect(mode(key) == 0o600, "\(key)")
            }
            let client = try #require(try FileAccess.read(made.clientFile))
            #expect(String(decoding: client, as: UTF8.self).hasPrefix("coordinator: 'farm.example.org:7480'\n"))
            #expect(!String(decoding: client, as: UTF8.self).contains(directory), "the folder may be moved")
        }
    }

    @Test func `Nothing is overwritten`() throws {
        try with { directory in
            let first = try FarmSetup.initialize(data: directory, listen: endpoint, names: [], client: "admin")
            let before = try FileAccess.read(DataLayout(data: directory).key)
            #expect(throws: SetupError.self) {
                try FarmSetup.initialize(data: directory, listen: endpoint, names: [], client: "other")
            }
            #expect(try FileAccess.read(DataLayout(data: directory).key) == before)
            var configuration = try CoordinatorConfiguration(file: nil, environment: { _ in nil }, flags: ["data": directory])
            configuration.listen = endpoint
            let out = String(first.clientFile.dropLast("/client.yaml".utf8.count))
            #expect(throws: SetupError.self) {
                try FarmSetup.enrollClient("admin", coordinator: nil, out: out, configuration: configuration)
            }
        }
    }

    @Test func `A certificate can't be issued without the authority`() throws {
        try with { directory in
            let configuration = try CoordinatorConfiguration(file: nil, environment: { _ in nil }, flags: ["data": directory])
            #expect(throws: SetupError.self) {
                try FarmSetup.enrollAgent("a", addresses: ["h"], out: "\(directory)/a", configuration: configuration)
            }
            #expect(access("\(directory)/a", F_OK) != 0)
        }
    }

    @Test(arguments: ["", "-a", ".", "a b", "a/b", "é", "a\n", String(repeating: "a", count: 65)])
    func `What can't be a name is refused`(_ name: String) throws {
        try with { directory in
            #expect(throws: SetupError.badName(name)) { try TokenStore.create(name: name, file: "\(directory)/tokens") }
            #expect(throws: SetupError.badName(name)) {
                try FarmSetup.initialize(data: directory, listen: endpoint, names: [], client: name)
            }
        }
    }

    @Test func `Only the hash of a token is kept, and a name is taken once`() async throws {
        let directory = try TestFarm.temporaryDirectory()
        defer { TestFarm.remove(directory) }
        let file = "\(directory)/tokens"
        let token = try TokenStore.create(name: "ci", file: file)
        let text = String(decoding: try #require(try FileAccess.read(file)), as: UTF8.self)
        #expect(!text.contains(token.dropFirst(TokenStore.prefix.utf8.count)))
        #expect(throws: SetupError.nameTaken("ci", file: file)) { try TokenStore.create(name: "ci", file: file) }
        let store = TokenStore(file: file)
        #expect(await store.name(of: token) == "ci")
        #expect(await store.name(of: token + "0") == nil)
        #expect(await store.name(of: "") == nil)
        #expect(await TokenStore(file: "\(directory)/none").name(of: token) == nil)
    }

    @Test func `Two coordinators can't have one directory`() throws {
        try with { directory in
            let first = try DirectoryLock(directory: directory)
            #expect(throws: SetupError.inUse(directory)) { try DirectoryLock(directory: directory) }
            first.release()
            _ = try DirectoryLock(directory: directory)
        }
    }

    @Test func `Names and addresses are told apart`() {
        let hosts = ["farm.example.org", "10.0.0.1", "fe80::1", "farm.example.org"]
        #expect(FarmSetup.hostNames(hosts) == ["farm.example.org", "localhost"])
        #expect(FarmSetup.hostAddresses(hosts) == ["10.0.0.1", "fe80::1", "127.0.0.1", "::1"])
    }

    @Test(arguments: [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("\u{3ff}\u{3ff}", "z7/Pvw==")])
    func `Base 64 is that of RFC 4648`(_ text: String, _ encoded: String) {
        #expect(Base64.encode(Array(text.utf8)) == encoded)
        let forURL = encoded.filter { $0 != "=" }.map { $0 == "/" ? "_" : $0 == "+" ? "-" : $0 }
        #expect(Base64.encodeForURL(Array(text.utf8)) == String(forURL))
    }
}
