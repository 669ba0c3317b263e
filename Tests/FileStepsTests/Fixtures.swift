import BlockingIO
import BuildPlan
import Digests
import FileTree
import Glibc

@testable import FileSteps

/// A directory for one test with a source tree, an image and a new layer.
final class Workshop {
    let path: String
    /// Whether COPY writes a layer of its own or into the image itself.
    let asLayer: Bool
    private(set) var fetched: [Set<Digest>] = []
    var local: [Digest: [UInt8]] = [:]
    var excludes: [String] = []

    /// What is removed with this object.
    private let isOwner: Bool
    /// The directory that is looked at where there is no layer.
    private let place: String

    /// Another look at a workshop's directory.
    init(asLayer: Bool, path: String, place: String = "image") {
        self.path = path
        self.asLayer = asLayer
        self.place = place
        isOwner = false
    }

    init(asLayer: Bool) {
        isOwner = true
        place = "image"
        var template = Array("/tmp/farm-filesteps-XXXXXX".utf8CString)
        _ = mkdtemp(&template)
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        self.asLayer = asLayer
        for name in ["source", "image", "upper", "scratch"] { mkdir("\(path)/\(name)", 0o755) }
    }

    deinit { if isOwner { try? FileRemoval.remove(Array(path.utf8)) } }

    var target: CopyTarget {
        asLayer ? .layer(below: "\(path)/image", upper: "\(path)/upper") : .mounted(root: "\(path)/image")
    }

    // MARK: Making things

    /// `a/b/` a directory, `a -> b` a link, `a = content` a file; each may have ` @0755` before it ends.
    func make(_ descriptions: [String], in place: String) throws {
        for description in descriptions {
            let parts = description.split(separator: "@", maxSplits: 1)
            let mode = parts.count == 2 ? mode_t(parts[1], radix: 8) : nil
            let text = parts[0].trimmed
            if text.hasSuffix("/") {
                try directory(String(text.dropLast()), in: place)
                if let mode { chmod("\(path)/\(place)/\(text)", mode) }
            } else if let arrow = text.firstRange(of: " -> ") {
                let name = String(text[..<arrow.lowerBound])
                try directory(Self.parent(name), in: place)
                symlink(String(text[arrow.upperBound...]), "\(path)/\(place)/\(name)")
            } else {
                let halves = text.split(separator: "=", maxSplits: 1).map(\.trimmed)
                try directory(Self.parent(halves[0]), in: place)
                let file = Array("\(path)/\(place)/\(halves[0])".utf8)
                try FileDescriptor(file, flags: O_WRONLY | O_CREAT | O_TRUNC).write(Array(halves.dropFirst().joined().utf8))
                _ = withPath(file) { chmod($0, mode ?? 0o644) }
            }
        }
    }

    private func directory(_ name: String, in place: String) throws {
        var made = "\(path)/\(place)"
        for component in name.split(separator: "/") {
            made += "/" + component
            mkdir(made, 0o755)
        }
    }

    private static func parent(_ name: String) -> String { name.split(separator: "/").dropLast().joined(separator: "/") }

    // MARK: Copying

    func copy(
        _ sources: [String], to destination: String, fromStage: Bool = false, owner: String? = nil, mode: UInt16? = nil, add: Bool = false
    ) throws -> CopyResult {
        let operation = CopyOperation(
            sources: sources.map { .tree($0) }, from: fromStage ? .stage(0) : .context, destination: destination, owner: owner, mode: mode,
            unpacksArchives: add, excludes: excludes)
        return try run(operation, fromStage: fromStage)
    }

    func run(_ operation: CopyOperation, fromStage: Bool = false) throws -> CopyResult {
        let executor = CopyExecutor(target: target, scratch: "\(path)/scratch")
        guard !fromStage else { return try executor.run(operation, from: .root(path: "\(path)/source")) }
        let tree = try ContextScanner().scan(root: Array("\(path)/source".utf8))
        return try executor.run(operation, from: .context(reader: tree, root: tree.root, contents: Contents(workshop: self, tree: tree)))
    }

    private struct Contents: ContentProvider {
        let workshop: Workshop
        let tree: ContextTree

        func localFile(_ digest: Digest) -> [UInt8]? { workshop.local[digest] }

        func fetch(_ digests: Set<Digest>) throws -> any ByteSource {
            workshop.fetched.append(digests)
            let buffer = Bytes()
            try tree.writeContents(digests, to: buffer)
            return buffer
        }
    }

    // MARK: Looking

    /// What the image is afterwards: `path mode content`, sorted; directories end in `/`, links are `path -> target`.
    func image(below prefix: String = "") throws -> [String] {
        var found: [String: String] = [:]
        for place in asLayer ? ["image", "upper"] : [place] {
            let resolver = try RootResolver(path: Array("\(path)/\(place)".utf8))
            guard try resolver.status(Array(prefix.utf8)) != nil else { continue }
            for entry in try resolver.entries(at: Array(prefix.utf8)) where !entry.path.isEmpty {
                let name = String(decoding: entry.path, as: UTF8.self)
                let mode = String(entry.status.mode, radix: 8)
                switch entry.status.kind {
                case .directory: found[name] = "\(name)/ \(mode)"
                case .symlink: found[name] = "\(name) -> \(String(decoding: entry.target, as: UTF8.self))"
                case .file:
                    let file = try resolver.open(joined(Array(prefix.utf8), entry.path), flags: O_RDONLY)
                    found[name] = "\(name) \(mode) \(String(decoding: try file.readAll(limit: 1 << 24), as: UTF8.self))"
                default: found[name] = "\(name) \(entry.status.kind)"
                }
            }
        }
        return found.keys.sorted().compactMap { found[$0] }
    }

    /// What the image has of itself.
    func kindBelow(_ name: String) -> FileStatus.Kind? { (try? FileStatus.of(Array("\(path)/image/\(name)".utf8)))?.kind }

    /// What is there in the new layer, or else in the image.
    func status(_ name: String) throws -> FileStatus? {
        for place in asLayer ? ["upper", "image"] : ["image"] {
            if let status = try FileStatus.of(Array("\(path)/\(place)/\(name)".utf8)) { return status }
        }
        return nil
    }
}

/// Bytes in memory.
final class Bytes: ByteSource, ByteSink {
    private var bytes: [UInt8] = []
    private var position = 0

    func write(_ bytes: UnsafeRawBufferPointer) throws { self.bytes.append(contentsOf: bytes) }

    func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        let count = min(buffer.count, bytes.count - position)
        bytes.withUnsafeBytes { buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[position..<position + count])) }
        position += count
        return count
    }
}

extension Substring {
    var trimmed: String {
        var text = self
        while text.last == " " { text.removeLast() }
        while text.first == " " { text.removeFirst() }
        return String(text)
    }
}
