/// Where an image runs: `linux/amd64`, `linux/arm64`, `linux/arm/v7`.
public struct Platform: Hashable, Sendable, Codable {
    /// The operating system; Farm builds `linux` only.
    public var os: String
    /// Go's name of the architecture: amd64, arm64, arm, …
    public var architecture: String
    /// The architecture's variant (`v7`), where there is one.
    public var variant: String?

    /// Takes the three parts as they are.
    public init(os: String, architecture: String, variant: String? = nil) {
        self.os = os
        self.architecture = architecture
        self.variant = variant
    }

    /// Without a variant that the architecture has anyway.
    public var normalized: Platform {
        switch (architecture, variant) {
        case ("arm64", "v8"), ("amd64", "v1"), ("arm", "v7"): Platform(os: os, architecture: architecture)
        default: self
        }
    }
}

extension Platform: LosslessStringConvertible {
    /// `os/architecture[/variant]`
    public var description: String { [os, architecture, variant].compactMap(\.self).joined(separator: "/") }

    /// Reads `os/architecture[/variant]`; nil for anything else. `x86_64` and `aarch64` become Go's names.
    public init?(_ description: String) {
        let parts = description.split(separator: "/", omittingEmptySubsequences: false).map { String($0).lowercased() }
        guard (2...3).contains(parts.count), parts.allSatisfy({ !$0.isEmpty && $0.utf8.allSatisfy(Self.isAllowed) }) else { return nil }
        let names = ["x86_64": "amd64", "x86-64": "amd64", "aarch64": "arm64", "i386": "386", "armhf": "arm"]
        self.init(os: parts[0], architecture: names[parts[1]] ?? parts[1], variant: parts.count == 3 ? parts[2] : nil)
    }

    private static func isAllowed(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"): true
        default: false
        }
    }
}
