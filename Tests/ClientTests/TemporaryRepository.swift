import Glibc
import Testing

@testable import Client

/// A git repository of a test's own, with a user's cache beside it; removed by ``remove()``.
struct TemporaryRepository {
    let root: String
    var folder: String { "\(root)/project" }
    var environment: [String: String]

    init() throws {
        var template = Array("/var/tmp/farm-client-XXXXXX".utf8CString)
        let made = template.withUnsafeMutableBufferPointer { $0.baseAddress.flatMap { mkdtemp($0) }.map { String(cString: $0) } }
        root = try #require(made)
        let path = getenv("PATH").map { String(cString: $0) } ?? "/usr/bin:/bin"
        environment = ["PATH": path, "HOME": root, "XDG_CACHE_HOME": "\(root)/cache"]
        mkdir(folder, 0o755)
        try git("init", "--quiet", "--initial-branch=main")
        try git("config", "user.name", "Test")
        try git("config", "user.email", "test@example.org")
    }

    /// Runs git as a user would.
    @discardableResult
    func git(_ arguments: String...) throws -> String {
        var fixed = environment
        fixed["GIT_CONFIG_NOSYSTEM"] = "1"
        let child = try ChildProcess.start(["git", "-C", folder] + arguments, environment: fixed, output: .pipes)
        var text: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while case let count = read(child.output, &buffer, buffer.count), count > 0 { text += buffer[..<count] }
        close(child.output)
        close(child.errors)
        let status = try child.waitBlocking()
        try #require(status == 0, "git \(arguments)")
        return String(decoding: text, as: UTF8.self)
    }

    func write(_ text: String, to name: String, mode: mode_t = 0o644) throws {
        var folder = folder
        for part in name.split(separator: "/").dropLast() {
            folder += "/\(part)"
            mkdir(folder, 0o755)
        }
        let path = "\(self.folder)/\(name)"
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode)
        try #require(descriptor >= 0, "\(path)")
        Screen.write(text, to: descriptor)
        close(descriptor)
        chmod(path, mode)
    }

    func commit(_ message: String = "change") throws {
        try git("add", "--all")
        try git("commit", "--quiet", "--allow-empty", "--message", message)
    }

    func remove() {
        guard let child = try? ChildProcess.start(["rm", "-rf", root], output: .standardError) else { return }
        _ = try? child.waitBlocking()
    }

    /// A file's text; nil where there is none.
    static func text(_ path: String) -> String? {
        (try? SmallFile.read(path, limit: 1 << 20)).flatMap { $0 }.map { String(decoding: $0, as: UTF8.self) }
    }
}
