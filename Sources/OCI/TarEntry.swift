/// One member of a tar archive, with everything that a layer keeps of a file.
struct TarEntry {
    enum Kind: Equatable {
        case file(size: Int64)
        case directory
        case symbolicLink(target: [UInt8])
        case hardLink(target: [UInt8])
        case fifo
        case characterDevice(major: UInt32, minor: UInt32)
        case blockDevice(major: UInt32, minor: UInt32)
    }

    /// Relative, without a leading or trailing slash, in the bytes of the file system.
    var path: [UInt8]
    var kind: Kind
    /// The twelve permission bits.
    var mode: UInt32 = 0
    var uid: UInt32 = 0
    var gid: UInt32 = 0
    var seconds: Int64 = 0
    var nanoseconds: Int64 = 0
    var xattrs: [ExtendedAttribute] = []
}

/// A name and its value; both are bytes.
struct ExtendedAttribute {
    var name: [UInt8]
    var value: [UInt8]
}
