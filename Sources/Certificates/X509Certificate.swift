import COpenSSL

/// What a certificate is to say.
struct CertificateRequest {
    /// X.520's limit for a common name.
    static let nameLength = 64

    var commonName: String
    /// Nil for an authority.
    var role: String?
    var names: [String]
    var addresses: [String]
    var validity: Validity

    /// Refuses what could say something else once it is in libcrypto's little languages.
    func validate() throws {
        for text in [commonName] + (role.map { [$0] } ?? []) {
            let printable = text.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F }
            guard !text.isEmpty, text.utf8.count <= Self.nameLength, printable else {
                throw CertificateError.unusable("\"\(text)\" is no name of 1 to \(Self.nameLength) printable characters")
            }
        }
        for name in names {
            let isHostName = name.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
                    UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "*"):
                    true
                default: false
                }
            }
            guard !name.isEmpty, name.utf8.count <= 253, isHostName else { throw CertificateError.unusable("\"\(name)\" is no host name") }
        }
        for address in addresses {
            guard let parsed = a2i_IPADDRESS(address) else { throw CertificateError.unusable("\"\(address)\" is no IP address") }
            ASN1_OCTET_STRING_free(parsed)
        }
    }
}

/// An X.509 certificate in libcrypto. Owns its pointer, and never gives it away; not for use on several threads.
final class X509Certificate {
    private let pointer: OpaquePointer

    /// Takes over the pointer.
    private init(owning pointer: OpaquePointer) { self.pointer = pointer }

    deinit { X509_free(pointer) }

    /// The first certificate of a PEM text.
    convenience init(pem: String) throws {
        let bio = try MemoryBIO(pem)
        guard let pointer = PEM_read_bio_X509(bio.pointer, nil, nil, nil) else {
            throw CertificateError.unusable("that is no certificate in PEM")
        }
        self.init(owning: pointer)
    }

    func pem() throws -> String {
        let bio = try MemoryBIO("")
        try check(PEM_write_bio_X509(bio.pointer, pointer))
        return bio.text()
    }

    var isAuthority: Bool { X509_check_ca(pointer) == 1 }

    func belongs(to key: PrivateKey) -> Bool { X509_check_private_key(pointer, key.pointer) == 1 }

    func age() throws -> (lifetime: Duration, remaining: Duration) {
        // Both are borrowed from the certificate; nil stands for now.
        let begin = X509_get0_notBefore(pointer)
        let end = X509_get0_notAfter(pointer)
        return (try difference(begin, end), try difference(nil, end))
    }

    private func difference(_ from: UnsafePointer<ASN1_TIME>?, _ to: UnsafePointer<ASN1_TIME>?) throws -> Duration {
        var days: Int32 = 0
        var seconds: Int32 = 0
        try check(ASN1_TIME_diff(&days, &seconds, from, to))
        return .seconds(Int64(days) * 86_400 + Int64(seconds))
    }

    /// Makes and signs a certificate for that key: an authority's when there is no issuer, a leaf otherwise.
    static func issue(
        _ request: CertificateRequest, key: PrivateKey, issuer: (certificate: X509Certificate, key: PrivateKey)?
    ) throws -> X509Certificate {
        try request.validate()
        guard let pointer = X509_new() else { throw CertificateError.library("out of memory") }
        let certificate = X509Certificate(owning: pointer)
        try check(X509_set_version(pointer, 2))  // Version 3.
        try certificate.setRandomSerial()
        X509_gmtime_adj(X509_getm_notBefore(pointer), Int(request.validity.notBefore.components.seconds))
        X509_gmtime_adj(X509_getm_notAfter(pointer), Int(request.validity.notAfter.components.seconds))
        try certificate.addSubject("CN", request.commonName)
        if let role = request.role { try certificate.addSubject("OU", role) }
        try check(X509_set_issuer_name(pointer, X509_get_subject_name(issuer?.certificate.pointer ?? pointer)))
        try check(X509_set_pubkey(pointer, key.pointer))

        let authority = issuer?.certificate ?? certificate
        try certificate.add(NID_basic_constraints, issuer == nil ? "critical,CA:TRUE,pathlen:0" : "critical,CA:FALSE", authority)
        try certificate.add(NID_key_usage, issuer == nil ? "critical,keyCertSign,cRLSign" : "critical,digitalSignature", authority)
        try certificate.add(NID_subject_key_identifier, "hash", authority)
        if issuer != nil {
            try certificate.add(NID_authority_key_identifier, "keyid:always", authority)
            try certificate.add(NID_ext_key_usage, "serverAuth,clientAuth", authority)
        }
        let alternatives = request.names.map { "DNS:\($0)" } + request.addresses.map { "IP:\($0)" }
        if !alternatives.isEmpty { try certificate.add(NID_subject_alt_name, alternatives.joined(separator: ","), authority) }
        guard X509_sign(pointer, (issuer?.key ?? key).pointer, EVP_sha256()) > 0 else { throw CertificateError.library(queuedError()) }
        return certificate
    }

    /// 127 random bits: positive, and unique without a book of what was issued.
    private func setRandomSerial() throws {
        var bytes = [UInt8](repeating: 0, count: 16)
        try check(RAND_bytes(&bytes, Int32(bytes.count)))
        bytes[0] &= 0x7F
        guard let number = BN_bin2bn(bytes, Int32(bytes.count), nil) else { throw CertificateError.library("out of memory") }
        defer { BN_free(number) }
        guard BN_to_ASN1_INTEGER(number, X509_get_serialNumber(pointer)) != nil else { throw CertificateError.library("out of memory") }
    }

    private func addSubject(_ field: String, _ text: String) throws {
        let bytes = Array(text.utf8)
        try check(X509_NAME_add_entry_by_txt(X509_get_subject_name(pointer), field, MBSTRING_UTF8, bytes, Int32(bytes.count), -1, 0))
    }

    private func add(_ kind: Int32, _ value: String, _ issuer: X509Certificate) throws {
        var context = X509V3_CTX()
        X509V3_set_ctx(&context, issuer.pointer, pointer, nil, nil, 0)
        guard let new = X509V3_EXT_nconf_nid(nil, &context, kind, value) else { throw CertificateError.library(queuedError()) }
        defer { X509_EXTENSION_free(new) }
        try check(X509_add_ext(pointer, new, -1))  // Copies.
    }
}
