import Certificates
import Daemon
import Glibc
import Transport

/// Makes the files of a farm: `farm-coordinator init` and `enroll`. Everything here blocks, and overwrites nothing.
public enum FarmSetup {
    /// What `init` made.
    public struct Made: Sendable {
        /// The first client's configuration.
        public let clientFile: String
        /// What to do now, for people.
        public let nextSteps: String
    }

    /// Makes the authority, the coordinator's certificate, the grant key, and a first client.
    ///
    /// - Parameters:
    ///   - names: host names and addresses by which the coordinator is reached; the first is what clients use. `localhost` and the
    ///     loopback addresses are always added.
    public static func initialize(data: String, listen: Endpoint, names: [String], client: String) throws -> Made {
        guard SetupName.isValid(client) else { throw SetupError.badName(client) }
        let data = try makeDirectory(data)
        let layout = DataLayout(data: data)
        for file in [layout.authority, layout.authorityKey, layout.certificate, layout.key, layout.grantKey] where access(file, F_OK) == 0 {
            throw SetupError.exists(file)
        }
        let host = try names.first ?? listenedHost(listen)
        let clientDirectory = "\(data)/clients/\(client)"
        if access(clientDirectory, F_OK) == 0 { throw SetupError.exists(clientDirectory) }

        let authorityDirectory = try makeDirectory("\(data)/authority")
        let authority = try Authority.create(commonName: "Farm authority of \(host)".prefix(SetupName.longest).description)
        let identity = try authority.issue(
            commonName: "coordinator", role: Role.coordinator, names: hostNames(names + [host]), addresses: hostAddresses(names + [host]))
        try authority.write(to: authorityDirectory)
        try FileAccess.create(layout.key, with: Array(identity.keyPEM.utf8), mode: 0o600)
        try GrantSigningKey.create().write(to: layout.grantKey)
        let clientFile = try writeClient(
            client, coordinator: Endpoint(host: host, port: listen.port), authority: authority, out: clientDirectory)
        // The certificate last: a set-up that was interrupted before can't be mistaken for a whole one.
        try FileAccess.create(layout.certificate, with: Array(identity.certificatePEM.utf8), mode: 0o644)
        return Made(
            clientFile: clientFile,
            nextSteps: """
                A new farm is in \(data).

                1. Start the coordinator:
                     farm-coordinator --data \(data) --listen \(listen)
                2. For each agent, make a certificate, and bring the folder to its machine:
                     farm-coordinator enroll agent agent-1 --data \(data) --address HOST --out agent-1
                3. Use the farm:
                     farm --config \(clientFile) agents
                   Further people and CI get `farm-coordinator enroll client NAME --out DIR` or `token create NAME`.

                Keep \(layout.authorityKey) safe: who has it can join the farm.
                """)
    }

    /// Issues an agent's certificate; returns what to do with it.
    public static func enrollAgent(
        _ name: String, addresses: [String], out: String, configuration: CoordinatorConfiguration
    ) throws -> String {
        guard SetupName.isValid(name) else { throw SetupError.badName(name) }
        let authority = try authority(of: configuration)
        let issued = try authority.issue(
            commonName: name, role: Role.agent, names: hostNames(addresses), addresses: hostAddresses(addresses))
        let directory = try write(issued, authority: authority, out: out)
        return
            "The certificate of agent '\(name)' is in \(directory): authority.pem, certificate.pem, key.pem. Bring it to the agent's machine."
    }

    /// Issues a client's certificate with a client.yaml beside it; returns what to do with it.
    ///
    /// - Parameter coordinator: as the client reaches it; nil: the first name that the coordinator listens on.
    public static func enrollClient(
        _ name: String, coordinator: String?, out: String, configuration: CoordinatorConfiguration
    ) throws -> String {
        guard SetupName.isValid(name) else { throw SetupError.badName(name) }
        var endpoint = Endpoint(host: try listenedHost(configuration.listen), port: configuration.listen.port)
        if let coordinator {
            guard let given = Endpoint(coordinator) else { throw SetupError.badAddress(coordinator) }
            endpoint = given
        }
        let file = try writeClient(name, coordinator: endpoint, authority: try authority(of: configuration), out: out)
        return "The configuration of client '\(name)' is \(file); it names the files beside it."
    }

    /// Issues another certificate for the coordinator itself: for new names, or in place of one that expires.
    public static func enrollCoordinator(names: [String], out: String, configuration: CoordinatorConfiguration) throws -> String {
        let authority = try authority(of: configuration)
        let issued = try authority.issue(
            commonName: "coordinator", role: Role.coordinator, names: hostNames(names), addresses: hostAddresses(names))
        let directory = try write(issued, authority: authority, out: out)
        return """
            The coordinator's new certificate and key are in \(directory). Put them in the place of \(configuration.certificate) and
            \(configuration.key), and start the coordinator again.
            """
    }

    private static func authority(of configuration: CoordinatorConfiguration) throws -> Authority {
        func text(_ path: String) throws -> String {
            guard let bytes = try FileAccess.read(path) else {
                throw SetupError.missing(path, hint: "make it with `farm-coordinator init`, or name the right --data")
            }
            return String(decoding: bytes, as: UTF8.self)
        }
        return try Authority(certificatePEM: try text(configuration.authority), keyPEM: try text(configuration.authorityKey))
    }

    private static func writeClient(_ name: String, coordinator: Endpoint, authority: Authority, out: String) throws -> String {
        let issued = try authority.issue(commonName: name, role: Role.client)
        let directory = try write(issued, authority: authority, out: out)
        // Names beside the file itself: the folder is made here and used elsewhere.
        let yaml = """
            coordinator: \(quoted(coordinator.description))
            authority: authority.pem
            certificate: certificate.pem
            key: key.pem

            """
        try FileAccess.create("\(directory)/client.yaml", with: Array(yaml.utf8), mode: 0o600)
        return "\(directory)/client.yaml"
    }

    private static func write(_ issued: IssuedCertificate, authority: Authority, out: String) throws -> String {
        let directory = try makeDirectory(out)
        let files = CertificateFiles(directory: directory)
        for file in [files.key, files.certificate, files.authority] where access(file, F_OK) == 0 { throw SetupError.exists(file) }
        try FileAccess.create(files.key, with: Array(issued.keyPEM.utf8), mode: 0o600)
        try FileAccess.create(files.certificate, with: Array(issued.certificatePEM.utf8), mode: 0o644)
        try FileAccess.create(files.authority, with: Array(authority.certificatePEM.utf8), mode: 0o644)
        return directory
    }

    /// Makes the directory, for its owner only, and gives its absolute path.
    private static func makeDirectory(_ path: String) throws(SetupError) -> String {
        try FileAccess.makeDirectories(path, mode: 0o700)
        guard let resolved = realpath(path, nil) else { throw .failed("resolve", path, errno) }
        defer { free(resolved) }
        return String(cString: resolved)
    }

    // A wildcard address is nothing that a client could connect to.
    private static func listenedHost(_ endpoint: Endpoint) throws -> String {
        ["0.0.0.0", "::"].contains(endpoint.host) ? "localhost" : endpoint.host
    }

    static func hostNames(_ hosts: [String]) -> [String] { unique((hosts + ["localhost"]).filter { !isAddress($0) }) }

    static func hostAddresses(_ hosts: [String]) -> [String] { unique((hosts + ["127.0.0.1", "::1"]).filter(isAddress)) }

    private static func isAddress(_ host: String) -> Bool {
        var storage = in6_addr()
        return inet_pton(AF_INET, host, &storage) == 1 || inet_pton(AF_INET6, host, &storage) == 1
    }

    private static func unique(_ list: [String]) -> [String] {
        var seen: Set<String> = []
        return list.filter { seen.insert($0).inserted }
    }

    /// A YAML scalar that means exactly this text.
    private static func quoted(_ text: String) -> String {
        "'" + text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "''") + "'"
    }
}
