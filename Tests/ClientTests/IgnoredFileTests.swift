import BuildPlan
import Foundation
import Testing

@testable import Client

struct IgnoredFileTests {
    @Test(
        arguments: [
            ("[2/2] COPY secret /x: 'secret' does not exist", "secret"), ("'/d/in' does not exist", "d/in"),
            ("'kept' does not exist", nil), ("'missing' does not exist", nil), ("'secret' is not a directory", nil), ("", nil),
            ("does not exist", nil), ("' does not exist", nil),
        ] as [(String, String?)])
    func `a file that is missing because .dockerignore names it is told as that`(message: String, path: String?) throws {
        let folder = FileManager.default.temporaryDirectory.path + "/farm-ignored-\(UUID())"
        try FileManager.default.createDirectory(atPath: folder + "/d", withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        for name in ["secret", "kept", "d/in"] { _ = FileManager.default.createFile(atPath: "\(folder)/\(name)", contents: nil) }
        let source = BuildSource(
            text: "", name: "Dockerfile", context: folder, project: "p", ignore: try IgnorePatterns(file: "secret\nd\n"),
            secrets: try SecretValues([], environment: [:]))
        let hint = source.hint(about: message)
        #expect(hint?.contains("'\(path ?? "?")' is in the folder, but .dockerignore leaves it out") ?? (path == nil), "\(hint ?? "nil")")
        #expect((hint == nil) == (path == nil))
    }
}
