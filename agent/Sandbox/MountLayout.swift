import BuildPlan
import Glibc

/// Where everything that a step sees beside its root is mounted. Paths are resolved inside the root, so that the runtime meets no
/// symbolic link.
struct MountLayout {
    /// What must be there in the root.
    private(set) var points: [MountPoints.Point] = []
    /// The step's, in the order of mounting.
    private(set) var mounts: [RuntimeSpec.Mount] = []
    private(set) var workingDirectory = "/"

    /// A place inside another mount's source.
    private struct NestedPoint {
        var directory: String
        var path: String
        var isDirectory: Bool
    }

    /// A mount that others may lie in.
    private struct Place {
        var target: String
        /// The directory that is mounted there; nil for memory.
        var source: String?
        var readOnly: Bool
    }

    private var places: [Place] = []
    private var nested: [NestedPoint] = []
    private var workingDirectoryIsMissingIn: String?
    private var made: [(path: String, isDirectory: Bool)] = []

    /// These are file systems of the runtime's, which makes places in them itself.
    private static let systemPlaces = ["/dev", "/proc", "/sys"]

    /// Of the kernel's: nothing can be made in them, and what is mounted there would hide what programs and the runtime rely on.
    private static let kernelPlaces = ["/proc", "/sys"]

    /// - Parameters:
    ///   - root: where the image is mounted.
    ///   - bundle: where files that are mounted are written.
    init(step: StepSpec, root: String, bundle: String) throws {
        places = Self.systemPlaces.map { Place(target: $0, source: nil, readOnly: false) }
        points = Self.systemPlaces.map { MountPoints.Point(path: $0, isDirectory: true) }
        let files = [
            ("/etc/resolv.conf", "resolv.conf", NameResolution.resolverConfiguration()),
            ("/etc/hosts", "hosts", NameResolution.hosts(extra: step.extraHosts)),
        ]
        for (target, name, content) in files {
            let path = "\(bundle)/\(name)"
            try Files.write(Array(content.utf8), to: path)
            try add(StepSpec.Mount(target: target, source: .path(path), readOnly: true), root: root)
        }
        for mount in step.mounts { try add(mount, root: root) }
        for (index, file) in step.files.enumerated() {
            let path = "\(bundle)/file-\(index)"
            try Files.write(Array(file.content.utf8), to: path, mode: 0o755)
            try add(StepSpec.Mount(target: file.path, source: .path(path), readOnly: true), root: root)
        }
        workingDirectory = try RootPath.resolve(step.workingDirectory, in: root)
    }

    private mutating func add(_ mount: StepSpec.Mount, root: String) throws(SandboxError) {
        let target = try RootPath.resolve(mount.target, in: root)
        guard target != "/" else { throw .badMount(target: mount.target, reason: "that is the root itself") }
        if let place = Self.kernelPlaces.first(where: { target == $0 || target.hasPrefix($0 + "/") }) {
            let way = target == mount.target ? "" : "it leads to \(target), and "
            throw .badMount(target: mount.target, reason: "\(way)\(place) is the kernel's; choose another target")
        }
        var options = [mount.readOnly ? "ro" : "rw"]
        let source: String?
        switch mount.source {
        case .path(let path): source = path
        case .inTree(let tree, let path):
            let place = tree + (try RootPath.resolve(path, in: tree))
            guard Files.exists(place) else { throw .badMount(target: mount.target, reason: "the source has no /\(path)") }
            source = place
        case .tmpfs(let size):
            source = nil
            options += ["nosuid", "nodev", "mode=1777"]
            if let size { options.append("size=\(size)") }
        }
        let isDirectory = source.map(Files.isDirectory) ?? true
        try addPoint(target, isDirectory: isDirectory, root: root, shown: mount.target)
        if let source {
            mounts.append(RuntimeSpec.Mount(destination: target, type: "bind", source: source, options: ["bind", "private"] + options))
        } else {
            mounts.append(RuntimeSpec.Mount(destination: target, type: "tmpfs", source: "tmpfs", options: options))
        }
        if isDirectory { places.append(Place(target: target, source: source, readOnly: mount.readOnly)) }
    }

    private mutating func addPoint(_ target: String, isDirectory: Bool, root: String, shown: String) throws(SandboxError) {
        guard let place = place(of: target) else {
            if Files.exists(root + target), Files.isDirectory(root + target) != isDirectory {
                throw .badMount(
                    target: shown,
                    reason: isDirectory ? "it is a file, the source is a directory" : "it is a directory, the source is a file")
            }
            points.append(MountPoints.Point(path: target, isDirectory: isDirectory))
            return
        }
        guard let source = place.source else { return }
        let rest = String(target.dropFirst(place.target.count))
        let found = try RootPath.resolve(rest, in: source)
        // The runtime would follow it from the step's root, to where nothing was made for it, or into /proc.
        guard found == rest else {
            throw .badMount(
                target: shown,
                reason: "the way there goes through a symbolic link in what is mounted at \(place.target); name the place that it leads to")
        }
        let path = source + found
        if Files.exists(path) { return }
        if place.readOnly { throw .badMount(target: shown, reason: "the mount at \(place.target) is read-only and has no such path") }
        nested.append(NestedPoint(directory: source, path: path, isDirectory: isDirectory))
    }

    /// The innermost mount in which a path lies.
    private func place(of path: String) -> Place? {
        places.last { path.hasPrefix($0.target + "/") }
    }

    // MARK: Places inside other mounts

    /// Makes mount points in volumes and the like.
    mutating func makeNestedPoints() throws(SandboxError) {
        for point in nested {
            let rest = point.path.dropFirst(point.directory.count).split(separator: "/")
            var path = point.directory
            for (index, component) in rest.enumerated() {
                path += "/" + component
                if Files.exists(path) { continue }
                let isDirectory = point.isDirectory || index < rest.count - 1
                if isDirectory { try Files.makeDirectory(path) } else { try Files.write([], to: path) }
                made.append((path, isDirectory))
            }
        }
    }

    /// Removes what ``makeNestedPoints()`` made, where it is still empty.
    func removeNestedPoints() {
        for point in made.reversed() {
            if point.isDirectory {
                rmdir(point.path)
            } else {
                var found = stat()
                if lstat(point.path, &found) == 0, found.st_mode & S_IFMT == S_IFREG, found.st_size == 0 { unlink(point.path) }
            }
        }
    }

    /// Makes the working directory where it is not there, as a part of the layer.
    func makeWorkingDirectory(root: String) throws(SandboxError) {
        let base: String
        var rest = workingDirectory
        if let place = places.last(where: { workingDirectory == $0.target || workingDirectory.hasPrefix($0.target + "/") }) {
            guard let source = place.source, !place.readOnly else { return }
            base = source
            rest = String(workingDirectory.dropFirst(place.target.count))
        } else {
            base = root
        }
        var path = base
        for component in rest.split(separator: "/") {
            path += "/" + component
            if !Files.exists(path) {
                try Files.makeDirectory(path)
            } else if !Files.isDirectory(path) {
                throw .badStep("the working directory \(workingDirectory) goes through a file")
            }
        }
    }
}
