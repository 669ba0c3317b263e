import BlockingIO
import BuildPlan
import Daemon
import Digests
import Glibc

/// The bearer tokens of a farm: a file with one line each, `NAME SHA-256-HEX TIME`. The tokens themselves are kept nowhere.
///
/// `farm-coordinator token create` writes the file while the coordinator runs; it is read again when it has changed.
public actor TokenStore {
    /// One line of the file.
    struct Entry: Sendable, Equatable {
        var name: String
        var digest: Digest
        var created: String
    }

    /// What a token begins with, so that people and secret scanners know it when they see it.
    public static let prefix = "farm_"
    /// Enough that guessing is hopeless, so that a plain hash without salt or stretching does.
    static let randomBytes = 32
    /// A token that is longer is none of ours.
    static let longest = 256

    private let file: String
    private var entries: [Entry] = []
    private var seen: FileState?

    /// - Parameter file: need not exist: then there are no tokens.
    public init(file: String) { self.file = file }

    /// The name under which the token was made; nil when it was not made here. Costs one stat.
    public func name(of token: String) async -> String? {
        guard token.utf8.count <= Self.longest else { return nil }
        await reload()
        let digest = Digest.of(token)
        var found: String?
        // All entries are compared whole, so that the time tells nothing about which one came near.
        for entry in entries where Self.areEqual(entry.digest, digest) { found = entry.name }
        return found
    }

    /// Makes a token and stores its hash; the token is returned once and can't be had again. Blocks.
    ///
    /// Throws ``SetupError`` when the name is taken or can't be a name, or the file can't be written.
    public static func create(name: String, file: String) throws -> String {
        guard SetupName.isValid(name) else { throw SetupError.badName(name) }
        var entries = try parse(FileAccess.read(file) ?? [], file: file)
        guard !entries.contains(where: { $0.name == name }) else { throw SetupError.nameTaken(name, file: file) }
        var generator = SystemRandomNumberGenerator()
        let random = (0..<randomBytes).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
        let token = prefix + random.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        entries.append(Entry(name: name, digest: Digest.of(token), created: Timestamp.now.description))
        try FileAccess.replace(file, with: Array(text(of: entries).utf8), mode: 0o600)
        return token
    }

    /// The names of the tokens in a file; none where there is no file. Blocks.
    static func names(in file: String) throws -> [String] { try parse(FileAccess.read(file) ?? [], file: file).map(\.name) }

    private func reload() async {
        let file = self.file
        let state = try? await BlockingPool.shared.run { FileState(of: file) }
        guard state != seen else { return }
        guard let bytes = try? await BlockingPool.shared.run({ try FileAccess.read(file) ?? [] }),
            let entries = try? Self.parse(bytes, file: file)
        else { return }
        self.entries = entries
        seen = state ?? nil
    }

    static func parse(_ bytes: [UInt8], file: String) throws -> [Entry] {
        try bytes.split(separator: UInt8(ascii: "\n")).map { line in
            let words = String(decoding: line, as: UTF8.self).split(separator: " ")
            guard words.count == 3, let digest = Digest(hex: words[1]) else { throw SetupError.badTokens(file: file) }
            return Entry(name: String(words[0]), digest: digest, created: String(words[2]))
        }
    }

    static func text(of entries: [Entry]) -> String { entries.map { "\($0.name) \($0.digest.hex) \($0.created)\n" }.joined() }

    /// Compares without a branch on the contents.
    static func areEqual(_ a: Digest, _ b: Digest) -> Bool {
        a.withUnsafeBytes { a in
            b.withUnsafeBytes { b in zip(a, b).reduce(UInt8(0)) { $0 | ($1.0 ^ $1.1) } == 0 }
        }
    }
}

/// What tells a changed file from the same one.
struct FileState: Equatable, Sendable {
    let inode: UInt64
    let size: Int64
    let seconds: Int
    let nanoseconds: Int

    init?(of path: String) {
        var info = stat()
        guard stat(path, &info) == 0 else { return nil }
        inode = UInt64(info.st_ino)
        size = Int64(info.st_size)
        seconds = info.st_mtim.tv_sec
        nanoseconds = info.st_mtim.tv_nsec
    }
}
