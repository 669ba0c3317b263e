import Daemon

/// How full a disk may be: a share of the file system, or bytes of volumes.
public enum DiskMark: Sendable, Hashable {
    /// Of the file system, by whomever it is used: above 0, at most 1.
    case share(Double)
    /// Of this agent's volumes.
    case bytes(Int64)

    static let expected = "a share of the disk such as 90%, or \(ByteCount.expected) of volumes"

    /// `90%`, `200G`; nil for anything else.
    public init?(_ text: String) {
        if text.hasSuffix("%") {
            guard let percent = Double(text.dropLast()), percent > 0, percent <= 100 else { return nil }
            self = .share(percent / 100)
        } else {
            guard let bytes = ByteCount.parse(text) else { return nil }
            self = .bytes(bytes)
        }
    }

    /// Bytes above the mark; at most 0 where there are none.
    func excess(of disk: DiskSpace, volumes: Int64) -> Int64 {
        switch self {
        case .share(let share): disk.used - Int64(Double(disk.used + disk.available) * share)
        case .bytes(let bytes): volumes - bytes
        }
    }
}
