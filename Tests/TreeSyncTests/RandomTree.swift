import Digests

@testable import TreeSync

/// Numbers that are the same in every run of a seed (SplitMix64).
struct Seeded: RandomNumberGenerator {
    var state: UInt64
    init(_ seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}

/// Trees as maps from path to entry: the model that manifests are compared with.
struct ModelTree: Equatable {
    var entries: [TreePath: TreeEntry] = [:]

    static let names = ["a", "a-b", "b", "ab", "z", "\u{1}"].map { Array($0.utf8) } + [[0xff]]

    init() {}

    init(random: inout Seeded) {
        self.put([], .directory, &random)
        mutate(&random, times: 12)
    }

    private mutating func put(_ path: TreePath, _ content: TreeEntry.Content, _ random: inout Seeded) {
        var attributes: [TreeEntry.Attribute] = []
        if Int.random(in: 0..<8, using: &random) == 0 {
            attributes.append(TreeEntry.Attribute(name: Array("user.x".utf8), value: [UInt8(truncatingIfNeeded: random.next())]))
        }
        entries[path] = TreeEntry(
            path: path, mode: UInt16.random(in: 0...0o7777, using: &random), uid: UInt32.random(in: 0...2, using: &random),
            gid: .random(in: 0 ... .max, using: &random), modified: Int64.random(in: .min ... .max, using: &random),
            attributes: attributes, content: content)
    }

    mutating func mutate(_ random: inout Seeded, times: Int) {
        for _ in 0..<times {
            let directories = entries.values.filter(\.isDirectory).map(\.path).sorted(by: TreePaths.precedes)
            let parent = directories.randomElement(using: &random) ?? []
            let path = TreePaths.join(parent, ModelTree.names.randomElement(using: &random) ?? [])
            switch Int.random(in: 0..<7, using: &random) {
            case 0, 1: remove(path)
            case 2:
                if entries[path]?.isDirectory != true { remove(path) }
                put(path, .directory, &random)
            case 3:
                remove(path)
                put(path, .symlink(target: path), &random)
            case 4:
                remove(path)
                put(path, .fifo, &random)
            default:
                remove(path)
                let size = UInt64.random(in: 0...3, using: &random)
                put(path, .file(FileContent(size: size, digest: Digest.of("\(size)"), isSparse: size == 3)), &random)
            }
        }
    }

    mutating func remove(_ path: TreePath) {
        for key in entries.keys where key == path || TreePaths.isBelow(key, path) { entries[key] = nil }
    }

    var manifest: VolumeManifest {
        get throws { try VolumeManifest(entries: entries.values.sorted { TreePaths.precedes($0.path, $1.path) }) }
    }
}
