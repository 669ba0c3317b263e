import Glibc

/// A directory of one test, deleted with everything in it when the test lets go of it.
final class TemporaryDirectory {
    let path: String

    init() throws {
        var template = Array("/tmp/farm-oci-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw Failure("mkdtemp: \(errno)") }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit { _ = try? run("rm", "-rf", path) }

    /// A path below, without creating it.
    subscript(name: String) -> String { path + "/" + name }
}

struct Failure: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// Runs a program and returns what it prints; throws when it fails.
@discardableResult
func run(_ command: String...) throws -> String {
    let quoted = command.map { "'" + $0.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'" }
    return try shell(quoted.joined(separator: " "))
}

/// Runs a shell script and returns what it prints; throws when it fails.
@discardableResult
func shell(_ script: String) throws -> String {
    guard let stream = popen("exec 2>&1\nset -e\n" + script, "re") else { throw Failure("popen: \(errno)") }
    var output: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 4096)
    while true {
        let count = fread(&buffer, 1, buffer.count, stream)
        if count == 0 { break }
        output += buffer.prefix(count)
    }
    let text = String(decoding: output, as: UTF8.self)
    let status = pclose(stream)
    guard status == 0 else { throw Failure("'\(script)' ended with \(status): \(text)") }
    return text
}

/// True if a program can be found.
func hasProgram(_ name: String) -> Bool { (try? shell("command -v \(name)")) != nil }
