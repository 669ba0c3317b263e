import CLinux
import Glibc

/// Which extended attributes belong to a layer, and how they are read.
///
/// Only regular files and directories have them: `user.*` is not allowed on others, and the file capability is a program's.
enum LayerXattrs {
    /// The kernel's limit of a list (XATTR_LIST_MAX) and of a value (XATTR_SIZE_MAX).
    static let maximumLength = 65536
    static let opaque = "trusted.overlay.opaque"

    private static let overlayPrefix = Array("trusted.overlay.".utf8)
    private static let kept = ["user.", "security.", "system.posix_acl_"].map { Array($0.utf8) }
    // What this machine says about the file, not what the image says.
    private static let hostOwned = ["security.selinux", "security.ima", "security.evm", "security.apparmor"].map { Array($0.utf8) }

    /// True for names that are written to and set from archives.
    static func belongsToLayer(_ name: [UInt8]) -> Bool {
        kept.contains { name.starts(with: $0) } && !hostOwned.contains(name)
    }

    /// What was found on one file.
    struct Found {
        var kept: [ExtendedAttribute] = []
        var isOpaque = false
    }

    /// Reads the attributes of an open file, sorted by name.
    static func read(_ descriptor: Int32, path: [UInt8]) throws -> Found {
        let length = clinux_flistxattr(descriptor, nil, 0)
        if length == 0 { return Found() }
        if length < 0 {
            if errno == ENOTSUP { return Found() }
            throw LayerError.call("list the extended attributes of", path)
        }
        var list = [UInt8](repeating: 0, count: length)
        let read = list.withUnsafeMutableBytes { clinux_flistxattr(descriptor, $0.baseAddress, $0.count) }
        guard read >= 0 else { throw LayerError.call("list the extended attributes of", path) }
        var found = Found()
        for name in list.prefix(read).split(separator: 0) {
            let name = Array(name)
            if name.starts(with: overlayPrefix) {
                try note(overlay: name, descriptor, path, &found)
            } else if belongsToLayer(name) {
                guard !name.contains(UInt8(ascii: "=")) else {
                    throw LayerError.refuse(path, "its extended attribute '\(String(decoding: name, as: UTF8.self))' has '=' in its name")
                }
                found.kept.append(.init(name: name, value: try value(name, descriptor, path)))
            }
        }
        found.kept.sort { $0.name.lexicographicallyPrecedes($1.name) }
        return found
    }

    private static func note(overlay name: [UInt8], _ descriptor: Int32, _ path: [UInt8], _ found: inout Found) throws {
        switch String(decoding: name, as: UTF8.self) {
        case opaque: found.isOpaque = try value(name, descriptor, path) == [UInt8(ascii: "y")]
        case "trusted.overlay.redirect", "trusted.overlay.metacopy":
            throw LayerError.refuse(path, "overlayfs left a redirect; mount with redirect_dir=off,metacopy=off")
        default: break
        }
    }

    private static func value(_ name: [UInt8], _ descriptor: Int32, _ path: [UInt8]) throws -> [UInt8] {
        try [UInt8](unsafeUninitializedCapacity: maximumLength) { buffer, count in
            let read = withCString(name) { clinux_fgetxattr(descriptor, $0, buffer.baseAddress, buffer.count) }
            guard read >= 0 else { throw LayerError.call("read an extended attribute of", path) }
            count = read
        }
    }
}
