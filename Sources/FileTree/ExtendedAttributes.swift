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

    /// The portable attributes of an open file or directory.
    public static func portable(of file: FileDescriptor) throws -> [Attribute] {
        let list = try value(of: file) { clinux_flistxattr(file.number, $0.baseAddress?.assumingMemoryBound(to: CChar.self), $0.count) }
        guard let list, !list.isEmpty else { return [] }
        var attributes: [Attribute] = []
        for name in list.split(separator: 0).map({ Array($0) }) where isPortable(name) {
            let value = try value(of: file) { buffer in
                withPath(name) { clinux_fgetxattr(file.number, $0, buffer.baseAddress, buffer.count) }
            }
            // Gone since it was listed: as if it had never been there.
            if let value { attributes.append(Attribute(name: name, value: value)) }
        }
        return attributes.sorted { precedes($0.name, $1.name) }
    }

    private static func value(of file: FileDescriptor, _ call: (UnsafeMutableRawBufferPointer) -> Int) throws -> [UInt8]? {
        try withUnsafeTemporaryAllocation(byteCount: sizeLimit, alignment: 1) { buffer in
            let count = call(buffer)
            if count >= 0 { return [UInt8](buffer[..<count]) }
            if errno == ENODATA || errno == EOPNOTSUPP { return nil }
            throw FileTreeError.last("read attributes of", file.path)
        }
    }
}
