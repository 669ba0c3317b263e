/// Who owns what an archive's extraction creates.
public enum ExtractedOwner: Sendable, Hashable {
    /// As the archive says; needs root.
    case archive
    /// Everything belongs to these; needs root.
    case fixed(uid: UInt32, gid: UInt32)
    /// Whoever extracts. Extended attributes that the user may not set are left out then.
    case caller

    func of(_ entry: TarEntry) -> (uid: UInt32, gid: UInt32)? {
        switch self {
        case .archive: (entry.uid, entry.gid)
        case .fixed(let uid, let gid): (uid, gid)
        case .caller: nil
        }
    }

    var isLenient: Bool { self == .caller }
}

/// What becomes of device nodes in an archive.
public enum ExtractedDevices: Sendable, Hashable {
    /// They are made; needs root.
    case create
    /// They are left out and counted.
    case skip
}

/// What an extraction did.
public struct ExtractionResult: Sendable, Hashable {
    /// Entries that were created.
    public var entries: Int64 = 0
    /// Device nodes that were left out.
    public var skippedDevices: Int64 = 0
}
