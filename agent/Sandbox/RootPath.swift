import Glibc

/// Finds out where a path leads inside a root file system that is not trusted. Blocking; nobody may change the tree meanwhile.
enum RootPath {
    /// As the kernel's own (MAXSYMLINKS).
    private static let linkLimit = 40

    /// The path without symbolic links, `.` and `..`, relative to the root and with a leading slash; links never lead out of the root.
    /// What is not there is taken as it is written.
    static func resolve(_ path: String, in root: String) throws(SandboxError) -> String {
        var pending = path.split(separator: "/").reversed().map(String.init)
        var done: [String] = []
        var links = 0
        while let component = pending.popLast() {
            switch component {
            case ".": continue
            case "..": _ = done.popLast()
            default:
                let place = root + "/" + (done + [component]).joined(separator: "/")
                guard let target = link(at: place) else {
                    done.append(component)
                    continue
                }
                links += 1
                guard links <= linkLimit else { throw .badMount(target: path, reason: SandboxError.text(of: ELOOP)) }
                if target.hasPrefix("/") { done = [] }
                pending += target.split(separator: "/").reversed().map(String.init)
            }
        }
        return "/" + done.joined(separator: "/")
    }

    private static func link(at path: String) -> String? {
        let size = Int(PATH_MAX)
        return withUnsafeTemporaryAllocation(of: CChar.self, capacity: size) { buffer -> String? in
            guard let base = buffer.baseAddress else { return nil }
            let count = readlink(path, base, size)
            return count < 0 ? nil : String(decoding: UnsafeRawBufferPointer(start: base, count: count), as: UTF8.self)
        }
    }
}
