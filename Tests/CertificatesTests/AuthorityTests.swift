import Certificates
import Glibc
import Testing

/// A directory of its own, removed at the end.
private final class Directory {
    let path: String

    init() throws {
        var template = Array("/tmp/certificates-tests.XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw CertificateError.file("/tmp", reason: "no temporary directory") }
        path = template.withUnsafeBufferPointer { $0.baseAddress.map { String(cString: $0) } ?? "" }
    }

    deinit {
        for name in names { unlink(path + "/" + name) }
        rmdir(path)
    }

    var names: [String] {
        guard let handle = opendir(path) else { return [] }
        defer { closedir(handle) }
        var names: [String] = []
        while let entry = readdir(handle) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    func mode(_ name: String) -> mode_t {
        var status = stat()
        stat(path + "/" + name, &status)
        return status.st_mode & 0o777
    }
}

struct AuthorityTests {
    @Test func `an authority is written, found again, and issues the same as before`() throws {
        let directory = try Directory()
        let authority = try Authority.create(commonName: "farm")
        try authority.write(to: directory.path)
        #expect(directory.names == ["authority-key.pem", "authority.pem"])
        #expect(directory.mode("authority-key.pem") == 0o600)
        let loaded = try Authority(directory: directory.path)
        #expect(loaded.certificatePEM == authority.certificatePEM && loaded.keyPEM == authority.keyPEM)

        let files = try loaded.write(loaded.issue(commonName: "agent-1", role: "agent", names: ["a.example"]), to: directory.path)
        #expect(directory.names == ["authority-key.pem", "authority.pem", "certificate.pem", "key.pem"])
        #expect(directory.mode("key.pem") == 0o600)
        #expect(try !files.needsRenewal())
    }

    @Test func `another authority's key is not replaced`() throws {
        let directory = try Directory()
        let authority = try Authority.create(commonName: "farm")
        try authority.write(to: directory.path)
        try authority.write(to: directory.path)
        #expect(throws: CertificateError.exists(directory.path + "/authority-key.pem")) {
            try Authority.create(commonName: "farm").write(to: directory.path)
        }
        #expect(try Authority(directory: directory.path).keyPEM == authority.keyPEM)
    }

    @Test(
        arguments: [
            (-30, 365, false, false), (-200, 165, false, false), (-250, 115, true, false), (-365, -1, true, true), (0, 90, false, false),
        ] as [(Int64, Int64, Bool, Bool)])
    func `a certificate is renewed in the last third of its life`(begin: Int64, end: Int64, renew: Bool, expired: Bool) throws {
        let validity = Validity(notBefore: .seconds(begin * 86_400), notAfter: .seconds(end * 86_400))
        let issued = try Authority.create(commonName: "farm").issue(commonName: "a", role: "agent", validity: validity)
        let age = try CertificateAge(certificatePEM: issued.certificatePEM)
        #expect(age.lifetime == .seconds((end - begin) * 86_400))
        #expect(age.needsRenewal == renew)
        #expect(age.hasExpired == expired)
    }

    @Test func `a leaf, a stranger's key and nonsense are no authority`() throws {
        let authority = try Authority.create(commonName: "farm")
        let leaf = try authority.issue(commonName: "a", role: "agent")
        #expect(throws: CertificateError.self) { try Authority(certificatePEM: leaf.certificatePEM, keyPEM: leaf.keyPEM) }
        #expect(throws: CertificateError.self) { try Authority(certificatePEM: authority.certificatePEM, keyPEM: leaf.keyPEM) }
        #expect(throws: CertificateError.self) { try Authority(certificatePEM: "nonsense", keyPEM: authority.keyPEM) }
        #expect(throws: CertificateError.self) { try Authority(directory: "/nonexistent") }
        #expect(throws: CertificateError.self) { try CertificateAge(certificatePEM: "") }
    }

    @Test(arguments: ["", "a,DNS:evil", "a b", "a\u{0}b", "a\n", String(repeating: "a", count: 300), "ä.example"])
    func `what is no host name is refused`(name: String) throws {
        let authority = try Authority.create(commonName: "farm")
        #expect(throws: CertificateError.self) { try authority.issue(commonName: "a", role: "agent", names: [name]) }
        #expect(throws: CertificateError.self) { try authority.issue(commonName: "a", role: "agent", addresses: [name]) }
    }

    @Test(arguments: ["", "a\u{0}b", "a\n", String(repeating: "a", count: 65)])
    func `what can be no common name is refused`(name: String) throws {
        let authority = try Authority.create(commonName: "farm")
        #expect(throws: CertificateError.self) { try authority.issue(commonName: name, role: "agent") }
        #expect(throws: CertificateError.self) { try authority.issue(commonName: "a", role: name) }
    }
}

struct GrantFileTests {
    @Test func `a signing key is made once and found again`() throws {
        let directory = try Directory()
        let file = directory.path + "/grants.pem"
        let made = try GrantSigningKey.loadOrCreate(file: file)
        #expect(directory.mode("grants.pem") == 0o600)
        #expect(try GrantSigningKey.loadOrCreate(file: file).publicKey == made.publicKey)
        #expect(try GrantSigningKey(file: file).publicKey == made.publicKey)
    }

    @Test func `what is no signing key is refused`() throws {
        let authority = try Authority.create(commonName: "farm")
        #expect(throws: CertificateError.self) { try GrantSigningKey(pem: authority.keyPEM) }
        #expect(throws: CertificateError.self) { try GrantSigningKey(pem: "") }
        #expect(throws: CertificateError.self) { try GrantVerifier(publicKey: [1, 2, 3]) }
    }
}
