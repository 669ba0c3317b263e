import Daemon
import Digests
import FarmAPI
import Glibc
import Logging
import Testing

@testable import FarmCoordinator

@Suite("Backup and restore", .timeLimit(.minutes(1))) struct FarmBackupTests {
    private func configuration(_ data: String) throws -> CoordinatorConfiguration {
        try CoordinatorConfiguration(file: nil, environment: { _ in nil }, flags: ["data": data])
    }

    private func mode(_ path: String) -> mode_t {
        var info = stat()
        return lstat(path, &info) == 0 ? info.st_mode & 0o7777 : 0
    }

    private func write(_ text: String, _ path: String) throws {
        unlink(path)
        try FileAccess.create(path, with: Array(text.utf8), mode: 0o600)
    }

    /// A farm that runs, with a layer of an image that no image names any more, and its backup.
    private func withBackup(_ body: (_ farm: TestFarm, _ backup: String, _ made: FarmBackup.Made) async throws -> Void) async throws {
        try await TestFarm.with { farm in
            let backup = "\(farm.directory)/backup"
            let made = try FarmBackup().write(try configuration("\(farm.directory)/data"), to: backup)
            try await body(farm, backup, made)
        }
    }

    @Test func `a backup of a coordinator that runs has all that another needs, and only for its owner`() async throws {
        try await withBackup { farm, backup, made in
            let data = "\(farm.directory)/data"
            for file in ["key.pem", "grants.pem", "authority/authority-key.pem", "tokens", "certificate.pem", "authority/authority.pem"] {
                #expect(try FileAccess.read("\(backup)/\(file)") == FileAccess.read("\(data)/\(file)"), "\(file)")
            }
            #expect(mode(backup) == 0o700)
            for file in ["key.pem", "grants.pem", "authority/authority-key.pem", "tokens", "farm.sqlite", "clients/admin/key.pem"] {
                #expect(mode("\(backup)/\(file)") == 0o600, "\(file)")
            }
            #expect(made.warnings.contains { $0.contains("keys") })
            let restored = "\(farm.directory)/restored"
            let said = try FarmRestoration(from: backup, to: restored).run()
            #expect(said.contains { $0.contains("page") }, "tokens that count again are named: \(said)")
            var other = try configuration(restored)
            other.listen = Endpoint(host: "127.0.0.1", port: 0)
            // The old one still runs: the new one has a directory of its own.
            let service = try await CoordinatorService.start(other, log: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
            let running = Task { try await service.run() }
            running.cancel()
            try await running.value
        }
    }

    @Test func `without keys it has none, and says so`() async throws {
        try await TestFarm.with { farm in
            var backup = FarmBackup()
            backup.keys = false
            backup.images = false
            let made = try backup.write(try configuration("\(farm.directory)/data"), to: "\(farm.directory)/backup")
            #expect(made.warnings.contains { $0.contains("no keys") })
            let files = try PlainFile.files(below: "\(farm.directory)/backup")
            #expect(!files.contains { $0.hasSuffix("key.pem") || $0 == "grants.pem" || $0 == "tokens" }, "\(files)")
            let said = try FarmRestoration(from: "\(farm.directory)/backup", to: "\(farm.directory)/restored").run()
            #expect(said.contains { $0.contains("no keys") })
        }
    }

    @Test func `nothing is overwritten, and a failure leaves nothing behind`() async throws {
        try await withBackup { farm, backup, _ in
            let configuration = try configuration("\(farm.directory)/data")
            #expect(throws: SetupError.self) { try FarmBackup().write(configuration, to: backup) }
            #expect { try FarmRestoration(from: backup, to: "\(farm.directory)/data").run() } throws: { "\($0)".contains("not empty") }
            #expect(throws: (any Error).self) {
                try FarmBackup().write(try self.configuration("\(farm.directory)/nowhere"), to: "\(farm.directory)/other")
            }
            let names = try FileAccess.names(in: farm.directory)
            #expect(!names.contains { $0.contains("other") || $0.hasSuffix(".new") }, "\(names)")
        }
    }

    @Test(arguments: ["farm.sqlite", "key.pem", "backup.json"]) func `a backup that was changed is refused before anything is written`(
        file: String
    ) async throws {
        try await withBackup { farm, backup, _ in
            var bytes = try #require(try FileAccess.read("\(backup)/\(file)"))
            bytes[bytes.count / 2] ^= 0x40
            unlink("\(backup)/\(file)")
            try FileAccess.create("\(backup)/\(file)", with: bytes, mode: 0o600)
            let restored = "\(farm.directory)/restored"
            #expect(throws: (any Error).self) { try FarmRestoration(from: backup, to: restored).run() }
            #expect(access(restored, F_OK) != 0)
        }
    }

    @Test func `a backup can't name files elsewhere`() async throws {
        try await withBackup { farm, backup, _ in
            let text = String(decoding: try #require(try FileAccess.read("\(backup)/backup.json")), as: UTF8.self)
            try write("secret", "\(farm.directory)/secret")
            try write(text.replacing("\"key.pem\"", with: "\"../secret\""), "\(backup)/backup.json")
            #expect { try FarmRestoration(from: backup, to: "\(farm.directory)/restored").run() } throws: { "\($0)".contains("../secret") }
            // Nor by a link.
            try write(text, "\(backup)/backup.json")
            unlink("\(backup)/key.pem")
            symlink("\(farm.directory)/data/key.pem", "\(backup)/key.pem")
            #expect { try FarmRestoration(from: backup, to: "\(farm.directory)/restored").run() } throws: {
                "\($0)".contains("regular file")
            }
            #expect(access("\(farm.directory)/restored", F_OK) != 0)
        }
    }
}
