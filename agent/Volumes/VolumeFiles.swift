import BlockingIO
import CLinux
import Glibc
import TreeSync

/// Small file operations of the store. All block.
enum VolumeFiles {
    static func makeDirectory(_ path: String, mode: mode_t = 0o700) throws {
        guard mkdir(path, mode) == 0 || errno == EEXIST else { throw VolumeError.last("making directory", path) }
    }

    static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    static func rename(_ from: String, _ to: String) throws {
        guard Glibc.rename(from, to) == 0 else { throw VolumeError.last("renaming", from) }
    }

    /// Gives a file another name, which nothing has.
    static func link(_ from: String, _ to: String) throws {
        guard Glibc.link(from, to) == 0 else { throw VolumeError.last("linking", from) }
    }

    /// Makes the file be there as a whole or not at all: written aside, then renamed.
    ///
    /// - Parameters:
    ///   - through: also after a power loss, which takes some milliseconds.
    ///   - move: gives the file that was written aside its name.
    static func write(
        _ bytes: [UInt8], to path: String, through: Bool = false, move: (_ aside: String, _ path: String) throws -> Void = rename
    ) throws {
        try write(to: path, through: through, move: move) { try $0.write(bytes) }
    }

    /// The same of what the body writes.
    static func write(
        to path: String, through: Bool = false, move: (_ aside: String, _ path: String) throws -> Void = rename,
        _ body: (any ByteSink) throws -> Void
    ) throws {
        let aside = path + ".new"
        let file = open(aside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw VolumeError.last("creating", aside) }
        defer { close(file) }
        do {
            try body(Writer(file: file, path: aside))
            if through, fsync(file) != 0 { throw VolumeError.last("writing through", aside) }
            try move(aside, path)
        } catch {
            unlink(aside)
            throw error
        }
    }

    private struct Writer: ByteSink {
        let file: Int32
        let path: String

        func write(_ bytes: UnsafeRawBufferPointer) throws {
            var rest = bytes[...]
            while !rest.isEmpty {
                let part = UnsafeRawBufferPointer(rebasing: rest)
                let count = Glibc.write(file, part.baseAddress, part.count)
                guard count > 0 else { throw VolumeError.last("writing", path) }
                rest = rest.dropFirst(count)
            }
        }
    }

    static func read(_ path: String, upTo limit: Int) throws -> [UInt8] {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw VolumeError.last("opening", path) }
        defer { close(file) }
        var status = stat()
        guard fstat(file, &status) == 0 else { throw VolumeError.last("reading", path) }
        guard status.st_size <= limit else { throw VolumeError.system(operation: "reading", path: path, code: EFBIG) }
        let size = Int(status.st_size)
        var filled = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
            while filled < size {
                let got = Glibc.read(file, buffer.baseAddress.map { $0 + filled }, size - filled)
                if got <= 0 { break }
                filled += got
            }
            count = filled
        }
        guard filled == size else { throw VolumeError.last("reading", path) }
        return bytes
    }

    static func names(in directory: String) throws -> [String] {
        guard let stream = opendir(directory) else { throw VolumeError.last("listing", directory) }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let start = UnsafeRawPointer(entry) + (MemoryLayout<dirent>.offset(of: \dirent.d_name) ?? 0)
            let name = String(cString: start.assumingMemoryBound(to: CChar.self))
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    /// Writes the whole file system's dirty data through.
    static func sync(_ path: String) throws {
        let directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard directory >= 0 else { throw VolumeError.last("opening", path) }
        defer { close(directory) }
        guard clinux_syncfs(directory) == 0 else { throw VolumeError.last("writing through", path) }
    }

    /// Of the running kernel.
    static func bootID() -> String {
        // Where there is none, nothing counts as written by this boot, which is the careful answer.
        guard let text = try? readProc("/proc/sys/kernel/random/boot_id") else { return "" }
        return text
    }

    private static func readProc(_ path: String) throws -> String {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw VolumeError.last("opening", path) }
        defer { close(file) }
        var buffer = [UInt8](repeating: 0, count: 64)
        let count = Glibc.read(file, &buffer, buffer.count)
        return String(decoding: buffer.prefix(max(0, count)).filter { $0 > 32 }, as: UTF8.self)
    }
}
