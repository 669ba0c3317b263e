import FileTree
import Glibc
import Layers

/// A directory of one test, deleted with everything in it when the test lets go of it.
final class TemporaryDirectory: Sendable {
    let path: String

    init() throws {
        var template = Array("/tmp/farm-layers-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw Failure("mkdtemp: \(errno)") }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit { _ = try? TreeRemoval.remove(path) }
}

struct Failure: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

func write(_ content: String, to path: String) throws {
    try FileDescriptor(Array(path.utf8), flags: O_WRONLY | O_CREAT | O_TRUNC, mode: 0o644).write(Array(content.utf8))
    var times = [timespec(tv_sec: 1, tv_nsec: 5), timespec(tv_sec: 1, tv_nsec: 5)]
    utimensat(AT_FDCWD, path, &times, 0)
}

func read(_ path: String) throws -> String { String(decoding: try FileDescriptor(Array(path.utf8)).readAll(limit: 1 << 20), as: UTF8.self) }

func names(in directory: String) throws -> [String] {
    try DirectoryListing.names(in: FileDescriptor(Array(directory.utf8), flags: O_RDONLY | O_DIRECTORY)).map {
        String(decoding: $0, as: UTF8.self)
    }
}

/// Runs a shell script and returns what it prints; throws when it fails.
@discardableResult
func shellBytes(_ script: String) throws -> [UInt8] {
    guard let stream = popen("set -e\n" + script, "re") else { throw Failure("popen: \(errno)") }
    var output: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 4096)
    while true {
        let count = fread(&buffer, 1, buffer.count, stream)
        if count == 0 { break }
        output += buffer.prefix(count)
    }
    let status = pclose(stream)
    guard status == 0 else { throw Failure("'\(script)' ended with \(status)") }
    return output
}

func shellText(_ script: String) throws -> String { String(decoding: try shellBytes(script), as: UTF8.self) }
