import Certificates
import FarmAPI

/// Signs grants with the coordinator's Ed25519 key.
struct GrantKey: GrantSigner {
    private let key: GrantSigningKey

    /// Loads the key's file. Blocks.
    init(file: String) throws { key = try GrantSigningKey(file: file) }

    var publicKey: String { key.publicKey.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined() }

    func sign(_ grant: Grant) throws -> String {
        let json = try FarmJSON.encode(grant)
        return "\(Base64.encodeForURL(json)).\(Base64.encodeForURL(try key.sign(json)))"
    }
}
