import Glibc
import Testing

/// A folder of a test's own. Not under /tmp where that is an overlay or memory: agents put overlays upon it.
struct TemporaryFolder: Sendable {
    let root: String

    init() throws {
        let base = getenv("FARM_TEST_DIR").map { String(cString: $0) } ?? "/var/tmp"
        var template = Array("\(base)/farm-test-XXXXXX".utf8CString)
        let made = template.withUnsafeMutableBufferPointer { $0.baseAddress.flatMap { mkdtemp($0) }.map { String(cString: $0) } }
        root = try #require(made, "no folder can be made under \(base)")
    }

    func path(_ name: String) -> String { "\(root)/\(name)" }

    /// Writes a file and the folders above it; returns its path.
    @discardableResult
    func write(_ text: String, to name: String, mode: mode_t = 0o644) throws -> String {
        try write(Array(text.utf8), to: name, mode: mode)
    }

    @discardableResult
    func write(_ bytes: [UInt8], to name: String, mode: mode_t = 0o644) throws -> String {
        let path = path(name)
        var folder = root
        for part in name.split(separator: "/").dropLast() {
            folder += "/\(part)"
            mkdir(folder, 0o755)
        }
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode)
        try #require(descriptor >= 0, "\(path): \(String(cString: strerror(errno)))")
        defer { close(descriptor) }
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            try #require(count > 0, "\(path): \(String(cString: strerror(errno)))")
            rest = rest.dropFirst(count)
        }
        return path
    }

    /// The text of a file; nil where there is none.
    func read(_ name: String) -> String? { Self.read(path(name)) }

    static func read(_ path: String) -> String? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while case let count = Glibc.read(descriptor, &buffer, buffer.count), count > 0 { bytes += buffer[..<count] }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Removes everything, without crossing into what is mounted below.
    func remove() {
        guard let remover = try? Command.start(["rm", "-rf", "--one-file-system", root], output: "/dev/null", error: "/dev/null") else {
            return
        }
        var status: Int32 = 0
        while waitpid(remover, &status, 0) < 0, errno == EINTR {}
    }
}
