import CLinux
import Glibc

/// A mounted stack of layers. Blocking; the one who mounted it calls ``unmount()``.
public struct Snapshot: Sendable {
    /// Where it is mounted.
    public let path: String
    /// What a writer changes, in overlayfs's own form; nil where it is read-only.
    public let upper: String?

    /// What the kernel allows (OVL_MAX_STACK).
    static let layerLimit = 500
    /// mount(2) takes one page of options.
    private static let optionLimit = 4095

    /// Where a writer's changes go: two empty directories on one file system, which is that of the layers.
    public struct Room: Sendable, Hashable {
        /// Its root has the attributes that the mounted root shall have.
        public var upper: String
        public var work: String

        /// Takes two directories that exist.
        public init(upper: String, work: String) {
            self.upper = upper
            self.work = work
        }
    }

    /// The layers without the lower ones of those that are there more than once (steps that changed the same, or nothing): the highest
    /// covers all that the others do, and overlayfs takes a directory only once.
    private static func distinct(_ layers: [String]) -> [String] {
        var seen: Set<String> = []
        return layers.reversed().filter { seen.insert($0).inserted }.reversed()
    }

    /// Mounts layers as one tree.
    ///
    /// - Parameters:
    ///   - layers: directories in overlayfs's upper form, lowest first; none gives an empty tree.
    ///   - scratch: an existing directory of the caller's; `empty` and `merged` are made in it.
    ///   - room: nil for a tree that can't be written.
    /// - Throws: ``SandboxError``; nothing is mounted then.
    public static func mount(layers: [String], scratch: String, room: Room? = nil) throws(SandboxError) -> Snapshot {
        let merged = scratch + "/merged"
        let empty = scratch + "/empty"
        try Files.makeDirectory(merged)
        try Files.makeDirectory(empty)
        let layers = distinct(layers)
        guard layers.count < layerLimit else { throw .tooManyLayers(count: layers.count, limit: layerLimit - 1) }
        // Always two at the least, which a mount without an upper needs, and never one twice; the empty one is the lowest.
        var lower = layers.reversed() + [empty]
        if lower.count == 1, room == nil {
            let other = scratch + "/empty-too"
            try Files.makeDirectory(other)
            lower.append(other)
        }
        try mountOverlay(lower: lower, upper: room?.upper, work: room?.work, at: merged)
        return Snapshot(path: merged, upper: room?.upper)
    }

    /// Detaches it, even while it is in use. Does nothing where it is not mounted.
    public func unmount() { _ = clinux_detach(path) }

    /// - Parameter lower: topmost first.
    static func mountOverlay(lower: [String], upper: String?, work: String?, at target: String) throws(SandboxError) {
        let capacity = 512
        var message = [CChar](repeating: 0, count: capacity)
        // What a step syncs is worth nothing before its commit, which syncs for itself.
        let status = withCStrings(lower) { pointers in
            message.withUnsafeMutableBufferPointer {
                clinux_overlay_mount(pointers, lower.count, upper, work, 1, target, $0.baseAddress, capacity)
            }
        }
        if status == 0 { return }
        guard status == -ENOSYS else {
            throw .overlay(
                target: target, error: -status,
                detail: String(decoding: message.map { UInt8(bitPattern: $0) }.prefix { $0 != 0 }, as: UTF8.self))
        }
        try mountByText(lower: lower, upper: upper, work: work, at: target)
    }

    /// For kernels before 6.5. Descriptors stand for the paths, so that many fit into the page.
    static func mountByText(lower: [String], upper: String?, work: String?, at target: String) throws(SandboxError) {
        var descriptors: [Int32] = []
        defer { for descriptor in descriptors { close(descriptor) } }
        func name(_ path: String) throws(SandboxError) -> String {
            let descriptor = clinux_open_directory(path)
            try check(descriptor, "open", path)
            descriptors.append(descriptor)
            return "/proc/self/fd/\(descriptor)"
        }
        var names: [String] = []
        for path in lower { names.append(try name(path)) }
        var options = "index=off,redirect_dir=off,metacopy=off,xino=off,lowerdir=" + names.joined(separator: ":")
        if let upper, let work { options += ",upperdir=\(try name(upper)),workdir=\(try name(work))" }
        guard options.utf8.count <= optionLimit else {
            let fitting = names.count * optionLimit / options.utf8.count
            throw .tooManyLayers(count: names.count, limit: fitting)
        }
        let status = clinux_overlay_mount_by_text(options, upper == nil ? 1 : 0, target)
        if status < 0 { throw .overlay(target: target, error: -status, detail: "") }
    }

    /// Tries whether overlayfs works in a directory, as upper and as lower, with whiteouts.
    public static func selfTest(in directory: String) throws(SandboxError) {
        do { try tryOverlay(in: directory) } catch { throw .overlayUnusable(directory: directory, reason: "\(error)") }
    }

    private static func tryOverlay(in directory: String) throws(SandboxError) {
        let scratch = directory + "/overlay-test.\(getpid())"
        try Files.makeDirectory(scratch)
        defer { Files.removeTree(scratch) }
        let layer = scratch + "/layer"
        try Files.makeDirectory(layer)
        try Files.write(Array("x".utf8), to: layer + "/file")
        try Files.makeDirectory(layer + "/directory")
        let room = Room(upper: scratch + "/upper", work: scratch + "/work")
        for directory in [room.upper, room.work] { try Files.makeDirectory(directory) }
        let snapshot = try mount(layers: [layer], scratch: scratch, room: room)
        defer { snapshot.unmount() }
        try checkErrno(unlink(snapshot.path + "/file"), "remove", snapshot.path + "/file")
        guard let upper = snapshot.upper, clinux_is_whiteout(upper + "/file") == 1 else {
            throw .overlay(target: snapshot.path, error: EINVAL, detail: "a removed file left no whiteout")
        }
        // A directory in the place of another needs trusted extended attributes, which ramfs has not.
        try checkErrno(rmdir(snapshot.path + "/directory"), "remove", snapshot.path + "/directory")
        try checkErrno(mkdir(snapshot.path + "/directory", 0o755), "replace", snapshot.path + "/directory")
    }
}

/// Lends an array of C strings, ended by nil.
func withCStrings<R>(_ strings: [String], _ body: (UnsafePointer<UnsafePointer<CChar>?>) throws -> R) rethrows -> R {
    let copies = strings.map { strdup($0) }
    defer { for copy in copies { free(copy) } }
    return try (copies.map { UnsafePointer($0) } + [nil]).withUnsafeBufferPointer { buffer in
        guard let base = buffer.baseAddress else { preconditionFailure("an array with an element has an address") }
        return try body(base)
    }
}
