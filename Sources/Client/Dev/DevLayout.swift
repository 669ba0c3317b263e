import FoundationEssentials
import Glibc
import Yams

/// Where `farm dev` keeps things, and how the certificates and configurations of a new cluster are made: by the same programs that
/// an operator uses.
struct DevLayout: Sendable {
    let data: String

    init(data: String) throws(ClientError) {
        guard mkdir(data, 0o755) == 0 || errno == EEXIST else { throw .failed("--data \(data): \(String(cString: strerror(errno)))") }
        guard let resolved = realpath(data, nil) else { throw .failed("--data \(data): \(String(cString: strerror(errno)))") }
        defer { free(resolved) }
        self.data = String(cString: resolved)
    }

    var coordinator: String { "\(data)/coordinator" }
    var coordinatorConfiguration: String { "\(data)/coordinator.yaml" }
    var clientConfiguration: String { "\(data)/client.yaml" }
    static func agentName(_ number: Int) -> String { "agent-\(number)" }
    func agent(_ name: String) -> String { "\(data)/\(name)" }
    func agentConfiguration(_ name: String) -> String { "\(data)/\(name).yaml" }
    func log(of daemon: String) -> String { "\(data)/\(daemon).log" }
    private var pageTokenFile: String { "\(data)/page-token" }

    /// The address of the last start.
    var lastAddress: HostPort? {
        guard let text = text(coordinatorConfiguration), let values = try? Yams.load(yaml: text) as? [String: Any] else { return nil }
        return (values["listen"] as? String).flatMap { HostPort($0) }
    }

    /// What opens the status page in a browser.
    var pageToken: String? { text(pageTokenFile)?.trimmed }

    /// Makes what is not there yet; what is there stays.
    func prepare(agents: Int, listen: HostPort, programs: Programs) async throws {
        if access("\(coordinator)/certificate.pem", F_OK) != 0 {
            try await run([programs.coordinator, "init", "--data", coordinator, "--listen", "\(listen)", "--names", listen.host])
        }
        try write(coordinatorConfiguration, ["data: \(quoted(coordinator))", "listen: \(quoted("\(listen)"))"])
        if access("\(data)/client/certificate.pem", F_OK) != 0 {
            try await run([programs.coordinator, "enroll", "client", "dev", "--data", coordinator, "--out", "\(data)/client"])
        }
        if access(pageTokenFile, F_OK) != 0 {
            let token = try await output([programs.coordinator, "token", "create", "page", "--data", coordinator])
            try write(pageTokenFile, [token.trimmed], mode: 0o600)
        }
        try write(
            clientConfiguration,
            [
                "coordinator: \(quoted("\(reachable(listen))"))", "authority: \(quoted("\(data)/client/authority.pem"))",
                "certificate: \(quoted("\(data)/client/certificate.pem"))", "key: \(quoted("\(data)/client/key.pem"))",
            ])
        for number in 1...agents {
            let name = Self.agentName(number)
            let folder = agent(name)
            if access("\(folder)/certificate.pem", F_OK) != 0 {
                try await run([
                    programs.coordinator, "enroll", "agent", name, "--data", coordinator, "--address", "127.0.0.1", "--out", folder,
                ])
            }
            try write(
                agentConfiguration(name),
                [
                    "coordinator: \(quoted("\(reachable(listen))"))", "data: \(quoted("\(folder)/data"))", "listen: \"127.0.0.1:0\"",
                    "authority: \(quoted("\(folder)/authority.pem"))", "certificate: \(quoted("\(folder)/certificate.pem"))",
                    "key: \(quoted("\(folder)/key.pem"))",
                ])
        }
    }

    /// Who listens everywhere is reached here.
    private func reachable(_ listen: HostPort) -> HostPort {
        ["0.0.0.0", "::"].contains(listen.host) ? HostPort(host: "127.0.0.1", port: listen.port) : listen
    }

    private func run(_ command: [String]) async throws { _ = try await output(command) }

    /// Standard output of a short command; its failure with its own words.
    private func output(_ command: [String]) async throws -> String {
        let file = "\(data)/setup.log"
        unlink(file)
        let status = try await ChildProcess.start(command, output: .file(file)).wait()
        let said = text(file) ?? ""
        unlink(file)
        guard status == 0 else { throw ClientError.failed("'\(command.joined(separator: " "))' failed: \(said.trimmed)") }
        return said
    }

    private func text(_ path: String) -> String? { FileManager.default.contents(atPath: path).map { String(decoding: $0, as: UTF8.self) } }

    private func write(_ path: String, _ lines: [String], mode: mode_t = 0o644) throws(ClientError) {
        try ResultFile.write(lines.joined(separator: "\n") + "\n", to: path, option: "--data")
        chmod(path, mode)
    }

    private func quoted(_ text: String) -> String {
        "\"" + text.flatMap { $0 == "\"" || $0 == "\\" ? ["\\", $0] : [$0] } + "\""
    }
}

extension String {
    var trimmed: String {
        var text = self[...]
        while text.last?.isWhitespace == true { text = text.dropLast() }
        while text.first?.isWhitespace == true { text = text.dropFirst() }
        return String(text)
    }
}
