import CLinux
import Glibc

/// Where an extraction gets the open directories from that it creates entries in.
protocol ParentDirectories {
    /// An open directory that stays open.
    var root: Int32 { get }
    /// True where the archive also says what the root itself is.
    var ownsRoot: Bool { get }
    /// Opens a directory by its normalized path, creating what is missing of it. The descriptor is valid until the next call.
    func open(_ path: ArraySlice<UInt8>, created: ([UInt8]) -> Void) throws -> Int32
}

/// The directories of a tree that only this extraction makes: each component is opened without following links, so that an archive
/// can't lead out by a link of its own. The chain of the last path stays open, since archives mostly go on where they are.
final class FreshDirectories: ParentDirectories {
    private let base: Descriptor
    private var chain: [(name: ArraySlice<UInt8>, directory: Descriptor)] = []

    var root: Int32 { base.number }
    let ownsRoot = true

    init(root: Descriptor) { base = root }

    func open(_ path: ArraySlice<UInt8>, created: ([UInt8]) -> Void) throws -> Int32 {
        var level = 0
        for name in path.split(separator: UInt8(ascii: "/")) {
            if level < chain.count, chain[level].name.elementsEqual(name) {
                level += 1
                continue
            }
            chain.removeSubrange(level...)
            let parent = level == 0 ? base.number : chain[level - 1].directory.number
            let whole = path[..<name.endIndex]
            chain.append((name, try component(name, in: parent, whole, created)))
            level += 1
        }
        return level == 0 ? base.number : chain[level - 1].directory.number
    }

    private func component(_ name: ArraySlice<UInt8>, in parent: Int32, _ path: ArraySlice<UInt8>, _ created: ([UInt8]) -> Void) throws
        -> Descriptor
    {
        let number = try withCString(name) { name in
            let flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC
            var number = openat(parent, name, flags)
            if number < 0, errno == ENOENT {
                guard mkdirat(parent, name, 0o700) == 0 else { throw LayerError.call("create the directory", path) }
                created(Array(path))
                number = openat(parent, name, flags)
            }
            if number < 0, errno == ELOOP || errno == ENOTDIR {
                throw LayerError.refuse(path, "the archive has entries in it, but it is no directory (a symbolic link is not followed)")
            }
            guard number >= 0 else { throw LayerError.call("open the directory", path) }
            return number
        }
        return Descriptor(owning: number)
    }
}

/// The directories of a tree that was there before: links in it are followed as if the root were `/` (openat2, RESOLVE_IN_ROOT).
final class RootedDirectories: ParentDirectories {
    let root: Int32
    let ownsRoot = false
    private var last: (path: ArraySlice<UInt8>, directory: Descriptor)?

    /// - Parameter root: stays the caller's, and open meanwhile.
    init(root: Int32) { self.root = root }

    func open(_ path: ArraySlice<UInt8>, created: ([UInt8]) -> Void) throws -> Int32 {
        if let last, last.path.elementsEqual(path) { return last.directory.number }
        var number = resolve(path)
        if number < 0, errno == ENOENT {
            let (parent, name) =
                if let slash = path.lastIndex(of: UInt8(ascii: "/")) {
                    (try open(path[..<slash], created: created), path[(slash + 1)...])
                } else { (root, path) }
            guard withCString(name, { mkdirat(parent, $0, 0o700) }) == 0 else { throw LayerError.call("create the directory", path) }
            created(Array(path))
            number = resolve(path)
        }
        guard number >= 0 else { throw LayerError.call("open the directory", path) }
        let directory = Descriptor(owning: number)
        last = (path, directory)
        return directory.number
    }

    private func resolve(_ path: ArraySlice<UInt8>) -> Int32 {
        withCString(path) {
            clinux_openat2(
                root, $0, UInt64(O_RDONLY | O_DIRECTORY | O_CLOEXEC), 0, UInt64(CLINUX_RESOLVE_IN_ROOT | CLINUX_RESOLVE_NO_MAGICLINKS))
        }
    }
}
