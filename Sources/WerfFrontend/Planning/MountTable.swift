import BuildPlan

/// The mounts of an image: its own and those that the labels of its base tell of. Every shell stage has all of them.
struct MountTable {
    private static let temporaryLabel = "werf-mount-type-tmp-dir"
    private static let buildLabel = "werf-mount-type-build-dir"
    private static let hostPrefix = "werf-mount-type-custom-dir-"
    /// More are refused: a base image says how many there are.
    static let maximumMounts = 200

    /// Label by label, in the order: temporary, build, then host paths by name. Each has its targets in their order, no target twice.
    private var entries: [(kind: MountDirective.Kind, targets: [String])]

    /// - Parameters:
    ///   - labels: of the base image.
    ///   - own: where it has a target of the base's, it counts.
    init(labels: [String: String], own: [MountDirective], file: String, line: Int) throws(WerfError) {
        entries = []
        var claimed = Set(own.map(\.target.pathBytes))
        var inherited: [(kind: MountDirective.Kind, label: String, targets: String)] = []
        if let targets = labels[Self.temporaryLabel] { inherited.append((.temporary, Self.temporaryLabel, targets)) }
        if let targets = labels[Self.buildLabel] { inherited.append((.build, Self.buildLabel, targets)) }
        for (label, targets) in labels.sorted(by: { $0.key < $1.key }) where label.hasPrefix(Self.hostPrefix) {
            let path = label.dropFirst(Self.hostPrefix.count).replacing("--", with: "/")
            guard path.utf8.first == UInt8(ascii: "/") else {
                throw WerfError(
                    file: file, line: line,
                    message: "image: the base image's label '\(label)' tells of a mount of '\(path)', which is not absolute")
            }
            inherited.append((.host(CleanPath.clean(String(path))), label, targets))
        }
        for (kind, label, text) in inherited {
            var targets: [String] = []
            for target in text.split(separator: ";") {
                let clean = CleanPath.clean("/" + target)
                guard clean != "/", clean.utf8.allSatisfy({ $0 != 0 }) else {
                    throw WerfError(
                        file: file, line: line,
                        message: "image: the base image's label '\(label)' tells of a mount on '\(target)': that can't be")
                }
                if claimed.insert(clean.pathBytes).inserted { targets.append(clean) }
            }
            entries.append((kind, targets))
        }
        for mount in own {
            if let index = entries.firstIndex(where: { $0.kind == mount.kind }) {
                entries[index].targets.append(mount.target)
            } else {
                entries.append((mount.kind, [mount.target]))
            }
        }
        let count = entries.reduce(0) { $0 + $1.targets.count }
        guard count <= Self.maximumMounts else {
            throw WerfError(
                file: file, line: line,
                message: "image: with those of its base it has \(count) mounts: expected at most \(Self.maximumMounts)")
        }
    }

    /// Writes the labels by which images that stand on this one, here or with werf, have its mounts too.
    func write(to labels: inout [String: String]) {
        for name in labels.keys where name == Self.temporaryLabel || name == Self.buildLabel || name.hasPrefix(Self.hostPrefix) {
            labels[name] = nil
        }
        for (kind, targets) in entries where !targets.isEmpty {
            let name =
                switch kind {
                case .temporary: Self.temporaryLabel
                case .build: Self.buildLabel
                case .host(let path): Self.hostPrefix + path.replacing("/", with: "--")
                }
            labels[name] = targets.joined(separator: ";")
        }
    }

    /// The mounts of a shell stage: read-write, parents before what is in them.
    var mounts: [Mount] {
        let all = entries.flatMap { entry in
            entry.targets.map { target in
                let kind: Mount.Kind =
                    switch entry.kind {
                    case .temporary: .temporary
                    case .build: .cache(CacheMount(id: VolumeSlug.slug(target)))
                    case .host(let path): .host(path: path)
                    }
                return Mount(target: target, readOnly: false, kind: kind)
            }
        }
        let depth = { (mount: Mount) in mount.target.utf8.count { $0 == UInt8(ascii: "/") } }
        return all.enumerated().sorted { (depth($0.element), $0.offset) < (depth($1.element), $1.offset) }.map(\.element)
    }

    /// What is emptied in the base: every target that is in no other.
    var folders: [String] {
        let targets = mounts.map(\.target)
        return targets.filter { target in
            !targets.contains { other in target.utf8.count > other.utf8.count && target.utf8.starts(with: (other + "/").utf8) }
        }
    }
}

extension String {
    /// To compare by: Swift's `==` takes two spellings of an accent for one.
    fileprivate var pathBytes: [UInt8] { Array(utf8) }
}
