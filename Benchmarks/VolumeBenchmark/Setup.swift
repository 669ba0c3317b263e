import BuildPlan
import Certificates
import FarmAPI
import Foundation
import Transport

/// What two agents need to trust each other without a coordinator: certificates of one authority, and a grant for the volume.
struct Setup {
    static let agents = ["holder", "receiver"]
    /// The year 2096: nothing expires while it is measured.
    private static let expires = Timestamp(seconds: 4_000_000_000)

    let directory: String

    static func key(_ id: String) -> VolumeKey {
        VolumeKey(project: "benchmark", id: id, platform: Platform(os: "linux", architecture: "amd64"))
    }

    static func make(in directory: String) throws {
        let authority = try Authority.create(commonName: "benchmark")
        for name in agents {
            let files = "\(directory)/\(name)"
            try FileManager.default.createDirectory(atPath: files, withIntermediateDirectories: true)
            let issued = try authority.issue(commonName: name, role: Role.agent, names: ["localhost"], addresses: ["127.0.0.1"])
            _ = try authority.write(issued, to: files)
        }
        try GrantSigningKey.create().write(to: "\(directory)/grants.pem")
    }

    func identity(of name: String) -> TLSIdentity {
        let files = CertificateFiles(directory: "\(directory)/\(name)")
        return TLSIdentity(certificateFile: files.certificate, privateKeyFile: files.key, authorityFile: files.authority)
    }

    func grantKey() throws -> GrantSigningKey { try GrantSigningKey(file: "\(directory)/grants.pem") }

    /// `base64url(JSON).base64url(signature)`, as the coordinator makes it.
    func grant(for agent: String, _ key: VolumeKey) throws -> String {
        let message = try FarmJSON.encode(Grant(subject: agent, object: Grant.object(of: key), expires: Self.expires))
        return Self.base64(message) + "." + Self.base64(try grantKey().sign(message))
    }

    private static func base64(_ bytes: [UInt8]) -> String {
        Data(bytes).base64EncodedString().replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
    }
}
