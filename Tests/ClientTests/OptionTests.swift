import Testing

@testable import Client

@Suite struct OptionTests {
    @Test(arguments: [
        ("-", OutputSpec(form: .archive(.tar), destination: .standardOutput)),
        ("out", OutputSpec(form: .local, destination: .path("out"))),
        ("type=oci,dest=a.tar", OutputSpec(form: .archive(.oci), destination: .path("a.tar"))),
        ("TYPE=docker,destination=a", OutputSpec(form: .archive(.docker), destination: .path("a"))),
        ("type=tar", OutputSpec(form: .archive(.tar), destination: .standardOutput)),
        ("type=tar,dest=-", OutputSpec(form: .archive(.tar), destination: .standardOutput)),
        ("type=local,dest=/x=y", OutputSpec(form: .local, destination: .path("/x=y"))),
        ("type=oci,dest=a,compression=uncompressed", OutputSpec(form: .archive(.oci), destination: .path("a"))),
    ])
    func `outputs are read as buildx reads them`(text: String, expected: OutputSpec) throws {
        #expect(try OutputSpec(parsing: text) == expected)
    }

    @Test(arguments: [
        ("", "folder"), ("type=image", "not built yet"), ("type=registry,push=true", "not built yet"), ("type=zip", "unknown type 'zip'"),
        ("type=local", "dest"), ("dest=x", "'type' is missing"), ("type=oci,dest", "'dest'"),
        ("type=oci,compression=zstd", "compression=zstd"),
        ("type=oci,rewrite-timestamp=true", "rewrite-timestamp"),
    ])
    func `an output that can't be is refused by name`(text: String, says: String) {
        let error = #expect(throws: ClientError.self) { try OutputSpec(parsing: text) }
        #expect(error?.exitCode == 2)
        #expect(error?.description.contains(says) == true, "\(error?.description ?? "")")
    }

    @Test(arguments: [
        ("1", UInt64(1)), ("64m", 64 << 20), ("64mb", 64 << 20), ("1G", 1 << 30), ("512k", 512 << 10), ("7b", 7), ("4096", 4096),
    ])
    func `sizes are powers of 1024`(text: String, bytes: UInt64) throws {
        #expect(try SubmitOptions.byteCount(text, option: "--shm-size") == bytes)
    }

    @Test(arguments: ["", "m", "-1", "0", "1x", "1.5g", "99999999999999999999g", "b"])
    func `what is no size is refused`(text: String) {
        #expect(throws: ClientError.self) { try SubmitOptions.byteCount(text, option: "--shm-size") }
    }

    @Test(arguments: [("1", 1.0), ("0.5", 0.5), ("16", 16), ("2.25", 2.25), (".5", 0.5)])
    func `processors may be parts`(text: String, cpus: Double) throws { #expect(try SubmitOptions.cpus(text) == cpus) }

    @Test(arguments: ["", "0", "0.001", "-1", "nan", "inf", "1e3", "0x10", "2 ", "many", "5000", "."])
    func `what is no number of processors is refused`(text: String) {
        let error = #expect(throws: ClientError.self) { try SubmitOptions.cpus(text) }
        #expect(error?.exitCode == 2 && error?.description.contains("--cpus") == true)
    }

    @Test func `memory has a size that a step can start with`() throws {
        #expect(try SubmitOptions.memory("1g") == 1 << 30)
        for text in ["0", "1m", "15m", "1.5g", "-1g", "much"] {
            let error = #expect(throws: ClientError.self) { try SubmitOptions.memory(text) }
            #expect(error?.description.contains("--memory") == true, "\(text)")
        }
    }

    @Test(arguments: [("low", -2), ("normal", 0), ("high", 2), ("-3", -3), ("3", 3), ("0", 0)])
    func `priorities are words or numbers`(text: String, value: Int) throws { #expect(try SubmitOptions.priority(text) == value) }

    @Test(arguments: ["", "4", "-4", "urgent", "High", "1.5"]) func `what is no priority is refused`(text: String) {
        #expect(throws: ClientError.self) { try SubmitOptions.priority(text) }
    }

    @Test func `a label has one value`() throws {
        #expect(try SubmitOptions.labels(["a=1", "b=x=y", "a=1"], option: "--prefer") == ["a": "1", "b": "x=y"])
        let error = #expect(throws: ClientError.self) { try SubmitOptions.labels(["a=1", "a=2"], option: "--require") }
        #expect(error?.description.contains("--require a=2") == true, "\(error?.description ?? "")")
        #expect(throws: ClientError.self) { try SubmitOptions.labels(["a"], option: "--prefer") }
    }

    @Test func `platforms are linux ones`() throws {
        #expect(try SubmitOptions.platform("linux/arm64/v8").description == "linux/arm64")
        for text in ["arm64", "windows/amd64", "linux/", ""] { #expect(throws: ClientError.self) { try SubmitOptions.platform(text) } }
    }

    @Test func `a name alone takes its value from the environment`() throws {
        #expect(try SubmitOptions.keyValue("A", option: "--build-arg", environment: ["A": "1"])?.1 == "1")
        #expect(try SubmitOptions.keyValue("B", option: "--build-arg", environment: ["A": "1"]) == nil)
        #expect(try SubmitOptions.keyValue("A=x=y", option: "--build-arg", environment: [:])?.1 == "x=y")
        #expect(throws: ClientError.self) { try SubmitOptions.keyValue("=x", option: "--build-arg", environment: [:]) }
        #expect(throws: ClientError.self) { try SubmitOptions.keyValue("A", option: "--label", environment: nil) }
    }

    @Test(arguments: [("a:1.2.3.4", "a:1.2.3.4"), ("a=::1", "a:::1"), ("a:[fe80::1]", "a:fe80::1")])
    func `hosts have a name and an address`(text: String, line: String) throws { #expect(try SubmitOptions.extraHost(text) == line) }

    @Test(arguments: ["a", ":1.2.3.4", "a:", "a:b\n127.0.0.1", "a b:1.2.3.4", "a:host-gateway"])
    func `what is no host is refused`(text: String) { #expect(throws: ClientError.self) { try SubmitOptions.extraHost(text) } }

    @Test(arguments: [
        ("h:1", HostPort(host: "h", port: 1)), ("https://h:65535/", HostPort(host: "h", port: 65535)),
        ("[::1]:9", HostPort(host: "::1", port: 9)),
        ("h", HostPort(host: "h", port: 7480)), ("[::1]", HostPort(host: "::1", port: 7480)),
    ])
    func `addresses`(text: String, expected: HostPort) { #expect(HostPort(text, defaultPort: 7480) == expected) }

    @Test(arguments: ["", ":1", "h:", "h:x", "h:65536", "h:-1", "[::1", "[::1]x", "a b:1", "http://h/x:1"])
    func `what is no address is refused`(text: String) { #expect(HostPort(text, defaultPort: 1) == nil) }
}

@Suite struct ClientSettingsTests {
    private let full = "coordinator: h:1\nauthority: a.pem\ncertificate: /abs/c.pem\nkey: k.pem\n"

    @Test func `names of files are relative to the file`() throws {
        let settings = try ClientSettings.parse(full, file: "/etc/farm/client.yaml")
        #expect(settings.authority == "/etc/farm/a.pem")
        #expect(settings.certificate == "/abs/c.pem")
        #expect(settings.key == "/etc/farm/k.pem")
        #expect(settings.host == "h" && settings.port == 1)
    }

    @Test(arguments: [
        ("coordinator: h:1\nauthority: a\n", "neither 'certificate' and 'key' nor 'token'"),
        ("coordinator: h:1\nauthority: a\ncertificate: c\n", "go together"),
        ("authority: a\ntoken: t\n", "'coordinator: HOST:PORT' is missing"),
        ("coordinator: h:1\ntoken: t\n", "'authority: FILE' is missing"),
        ("coordinator: h:x\nauthority: a\ntoken: t\n", "expected HOST:PORT"),
        ("coordinator: h:1\nauthority: a\ntokens: t\n", "unknown key 'tokens'"),
        ("coordinator: [h]\nauthority: a\ntoken: t\n", "values are texts"),
        ("- a\n", "expected 'key: value' lines"),
        ("a: b: c", "not YAML"),
        ("", "expected 'key: value' lines"),
    ])
    func `a configuration that can't be is refused with its file and what is wrong`(text: String, says: String) {
        let error = #expect(throws: ClientError.self) { try ClientSettings.parse(text, file: "/x/client.yaml") }
        #expect(error?.exitCode == 2)
        #expect(error?.description.contains(says) == true, "\(error?.description ?? "")")
        #expect(error?.description.contains("/x/client.yaml") == true)
    }

    @Test func `a token is enough`() throws {
        #expect(try ClientSettings.parse("coordinator: h\nauthority: /a\ntoken: t\n", file: "c").identity.certificateFile == nil)
    }
}
