import CLinux
import Glibc

/// Extended attributes of files, sorted by name.
public enum ExtendedAttributes {
    /// One of them.
    public struct Attribute: Hashable, Sendable {
        public var name: [UInt8]
        public var value: [UInt8]

        public init(name: [UInt8], value: [UInt8]) {
            self.name = name
            self.value = value
        }
    }

    /// Linux' limits (XATTR_LIST_MAX, XATTR_SIZE_MAX): more there can't be.
    private static let sizeLimit = 64 << 10

    // What the machine and not the file has: labels of its security module, overlayfs' own marks.
    private static let local = ["security.selinux", "trusted.overlay.", "system.nfs4", "security.ima", "security.evm"].map {
        Array($0.utf8)
    }

    /// True for an attribute that belongs to the file and goes where the file goes.
    public static func isPortable(_ name: [UInt8]) -> Bool { !local.contains { name.starts(with: $0) } }

    /// The portable attributes of a path below a directory, of a symlink itself. `file` may be open with O_PATH.
    public static func portable(of file: FileDescriptor) throws -> [Attribute] {
        // Only through its name in /proc can a descriptor with O_PATH be asked; for a link it has to end in a slash-free magic link,
        // which is the link itself.
        let path = Array("/proc/self/fd/\(file.number)".utf8)
        return try attributes(shownAs: file.path) { name, buffer in
            withPath(path) { path in
                if let name { return withPath(name) { getxattr(path, $0, buffer) } }
                return listxattr(path, buffer)
            }
        }
    }

    private static func getxattr(_ path: UnsafePointer<CChar>, _ name: UnsafePointer<CChar>, _ buffer: UnsafeMutableRawBufferPointer) -> Int
    {
        clinux_getxattr(path, name, buffer.baseAddress, buffer.count)
    }

    private static func listxattr(_ path: UnsafePointer<CChar>, _ buffer: UnsafeMutableRawBufferPointer) -> Int {
        clinux_listxattr(path, buffer.baseAddress?.assumingMemoryBound(to: CChar.self), buffer.count)
    }

    private static func attributes(
        shownAs path: [UInt8], _ call: ([UInt8]?, UnsafeMutableRawBufferPointer) -> Int
    ) throws -> [Attribute] {
        guard let list = try value(nil, shownAs: path, call), !list.isEmpty else { return [] }
        var attributes: [Attribute] = []
        for name in list.split(separator: 0).map({ Array($0) }) where isPortable(name) {
            // Gone since it was listed: as if it had never been there.
            if let value = try value(name, shownAs: path, call) { attributes.append(Attribute(name: name, value: value)) }
        }
        return attributes.sorted { precedes($0.name, $1.name) }
    }

    private static func value(
        _ name: [UInt8]?, shownAs path: [UInt8], _ call: ([UInt8]?, UnsafeMutableRawBufferPointer) -> Int
    ) throws -> [UInt8]? {
        try withUnsafeTemporaryAllocation(byteCount: sizeLimit, alignment: 1) { buffer in
            let count = call(name, buffer)
            if count >= 0 { return [UInt8](buffer[..<count]) }
            if errno == ENODATA || errno == EOPNOTSUPP { return nil }
            throw FileTreeError.last("read attributes of", path)
        }
    }
}
