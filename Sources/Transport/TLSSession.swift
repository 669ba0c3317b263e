import COpenSSL
import NIOCore

/// Keys, trust and rules of all connections of one server or client. Loaded from files once, then immutable.
///
/// `@unchecked Sendable`: an `SSL_CTX` that is no longer changed may make sessions on several threads; libssl counts its references.
final class TLSContext: @unchecked Sendable {
    enum Side: Sendable { case server(requiresCertificate: Bool), client }

    /// Owned; freed in deinit. Sessions hold references of their own.
    fileprivate let pointer: OpaquePointer
    let side: Side

    /// Reads the identity's files (blocking). Throws ``TransportError/badIdentity(file:reason:)``.
    init(side: Side, identity: TLSIdentity) throws {
        self.side = side
        ERR_clear_error()
        let method: OpaquePointer?
        if case .client = side { method = TLS_client_method() } else { method = TLS_server_method() }
        guard let context = SSL_CTX_new(method) else {
            throw TransportError.badIdentity(file: identity.authorityFile, reason: TLSFailure.queued())
        }
        pointer = context
        // All stored properties are set: a throw from here on runs deinit, which frees the context.
        guard farm_SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) == 1 else {
            throw TransportError.badIdentity(file: identity.authorityFile, reason: TLSFailure.queued())
        }
        farm_SSL_CTX_set_session_cache_off(context)
        farm_SSL_CTX_release_buffers(context)
        SSL_CTX_set_num_tickets(context, 0)
        guard SSL_CTX_load_verify_locations(context, identity.authorityFile, nil) == 1 else {
            throw TransportError.badIdentity(file: identity.authorityFile, reason: "is no authority's certificate: \(TLSFailure.queued())")
        }
        if let certificate = identity.certificateFile {
            guard SSL_CTX_use_certificate_chain_file(context, certificate) == 1 else {
                throw TransportError.badIdentity(file: certificate, reason: "is no certificate: \(TLSFailure.queued())")
            }
            let key = identity.privateKeyFile ?? certificate
            guard SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) == 1, SSL_CTX_check_private_key(context) == 1 else {
                throw TransportError.badIdentity(file: key, reason: "is no private key of \(certificate): \(TLSFailure.queued())")
            }
        }
        switch side {
        case .server(let requiresCertificate):
            if identity.certificateFile == nil {
                throw TransportError.badIdentity(file: identity.authorityFile, reason: "a server needs a certificate of its own")
            }
            // The names of the authorities a client may show a certificate of: lets browsers and tools choose the right one.
            SSL_CTX_set_client_CA_list(context, SSL_load_client_CA_file(identity.authorityFile))
            SSL_CTX_set_verify(context, SSL_VERIFY_PEER | (requiresCertificate ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), nil)
            farm_SSL_CTX_choose_http(context)
        case .client:
            SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nil)
            let offer: [UInt8] = [2] + Array("h2".utf8)
            SSL_CTX_set_alpn_protos(context, offer, UInt32(offer.count))
        }
    }

    deinit { SSL_CTX_free(pointer) }
}

/// One TLS connection without I/O: encrypted bytes in and out, plain bytes out and in. Belongs to one event loop.
final class TLSSession {
    enum Progress { case done, wantsInput, failed(TLSFailure) }
    enum Read { case bytes(ByteBuffer), wantsInput, ended, failed(TLSFailure) }

    /// Owned; freed in deinit, together with both BIOs, which belong to it since `SSL_set_bio`.
    private let ssl: OpaquePointer
    private let input: OpaquePointer
    private let output: OpaquePointer

    /// - Parameter serverName: for a client, the name or address that the server's certificate must be for.
    init(context: TLSContext, serverName: String?) throws {
        ERR_clear_error()
        guard let ssl = SSL_new(context.pointer) else { throw TLSFailure(reason: TLSFailure.queued()) }
        guard let input = BIO_new(BIO_s_mem()) else {
            SSL_free(ssl)
            throw TLSFailure(reason: "out of memory")
        }
        guard let output = BIO_new(BIO_s_mem()) else {
            BIO_free(input)
            SSL_free(ssl)
            throw TLSFailure(reason: "out of memory")
        }
        SSL_set_bio(ssl, input, output)
        self.ssl = ssl
        self.input = input
        self.output = output
        switch context.side {
        case .server: SSL_set_accept_state(ssl)
        case .client:
            SSL_set_connect_state(ssl)
            guard let serverName else { throw TLSFailure(reason: "no server name to check") }
            // An address is matched against the certificate's addresses, everything else against its DNS names.
            if X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), serverName) == 1 { break }
            ERR_clear_error()
            SSL_set_hostflags(ssl, UInt32(X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS))
            guard SSL_set1_host(ssl, serverName) == 1, farm_SSL_set_tlsext_host_name(ssl, serverName) == 1 else {
                throw TLSFailure(reason: "\(serverName) is no host name")
            }
        }
    }

    deinit { SSL_free(ssl) }

    /// Gives encrypted bytes from the peer; all are taken.
    func receive(_ bytes: ByteBuffer) {
        bytes.withUnsafeReadableBytes { raw in
            var rest = raw
            while !rest.isEmpty {
                let count = BIO_write(input, rest.baseAddress, Int32(clamping: rest.count))
                guard count > 0 else { return }  // Only without memory.
                rest = UnsafeRawBufferPointer(rebasing: rest[Int(count)...])
            }
        }
    }

    /// Takes the encrypted bytes that wait for the peer.
    func takeOutput(_ allocator: ByteBufferAllocator) -> ByteBuffer? {
        let pending = farm_BIO_pending(output)
        guard pending > 0 else { return nil }
        var bytes = allocator.buffer(capacity: pending)
        bytes.writeWithUnsafeMutableBytes(minimumWritableBytes: pending) { raw in
            max(0, Int(BIO_read(output, raw.baseAddress, Int32(clamping: raw.count))))
        }
        return bytes
    }

    func handshake() -> Progress {
        ERR_clear_error()
        let result = SSL_do_handshake(ssl)
        if result == 1 { return .done }
        switch SSL_get_error(ssl, result) {
        case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE: return .wantsInput
        default: return .failed(failure())
        }
    }

    /// The next plain bytes, up to four records.
    func read(_ allocator: ByteBufferAllocator) -> Read {
        // What comes out is never more than what waits inside.
        let inside = farm_BIO_pending(input) + Int(SSL_pending(ssl))
        var bytes = allocator.buffer(capacity: min(max(inside, 256), 4 * 16384))
        while bytes.writableBytes > 0 {
            ERR_clear_error()
            var count = 0
            var result: Int32 = 0
            bytes.writeWithUnsafeMutableBytes(minimumWritableBytes: 1) { raw in
                result = SSL_read_ex(ssl, raw.baseAddress, raw.count, &count)
                return count
            }
            if result == 1 { continue }
            // What was read before an end or a failure is given first; the next call meets the end again.
            if bytes.readableBytes > 0 { return .bytes(bytes) }
            switch SSL_get_error(ssl, result) {
            case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE: return .wantsInput
            case SSL_ERROR_ZERO_RETURN: return .ended
            default: return .failed(failure())
            }
        }
        return .bytes(bytes)
    }

    /// Encrypts plain bytes into the output; false when the session is broken.
    func write(_ bytes: ByteBuffer) -> Bool {
        guard bytes.readableBytes > 0 else { return true }
        ERR_clear_error()
        return bytes.withUnsafeReadableBytes { raw in
            var count = 0
            // A memory BIO takes everything, so one call writes all of it.
            return SSL_write_ex(ssl, raw.baseAddress, raw.count, &count) == 1 && count == raw.count
        }
    }

    /// Puts a close_notify into the output.
    func shutdown() {
        ERR_clear_error()
        SSL_shutdown(ssl)
    }

    /// What ALPN chose.
    var applicationProtocol: String? {
        var name: UnsafePointer<UInt8>?  // Points into the session; copied at once.
        var length: UInt32 = 0
        SSL_get0_alpn_selected(ssl, &name, &length)
        guard let name, length > 0 else { return nil }
        return String(decoding: UnsafeBufferPointer(start: name, count: Int(length)), as: UTF8.self)
    }

    /// Who showed a certificate; it has been verified when the handshake is done. Throws when it names nobody.
    func peerIdentity() throws -> PeerIdentity? {
        guard let certificate = SSL_get1_peer_certificate(ssl) else { return nil }
        defer { X509_free(certificate) }
        guard let subject = X509_get_subject_name(certificate) else { return nil }  // Borrowed from the certificate.
        guard let name = Self.entry(NID_commonName, of: subject) else {
            throw TLSFailure(reason: "the peer's certificate has no usable common name")
        }
        return PeerIdentity(commonName: name, role: Self.entry(NID_organizationalUnitName, of: subject) ?? "")
    }

    /// The only entry of that kind as text; nil where there is none, more than one, or one with a NUL or an absurd length.
    private static func entry(_ kind: Int32, of subject: OpaquePointer) -> String? {
        let index = X509_NAME_get_index_by_NID(subject, kind, -1)
        guard index >= 0, X509_NAME_get_index_by_NID(subject, kind, index) < 0 else { return nil }
        guard let entry = X509_NAME_get_entry(subject, index), let value = X509_NAME_ENTRY_get_data(entry) else { return nil }
        var text: UnsafeMutablePointer<UInt8>?  // Ours; freed below.
        let length = ASN1_STRING_to_UTF8(&text, value)
        guard length > 0, let text else { return nil }
        defer { CRYPTO_free(text, #file, #line) }
        let bytes = UnsafeBufferPointer(start: text, count: Int(length))
        guard bytes.count <= TransportLimits.certificateNameLength, !bytes.contains(0) else { return nil }
        return String(decoding: bytes, as: UTF8.self)
    }

    private func failure() -> TLSFailure {
        let verification = SSL_get_verify_result(ssl)
        if verification != Int(X509_V_OK), let text = X509_verify_cert_error_string(verification) {
            ERR_clear_error()
            return TLSFailure(reason: TLSFailure.explain(verification: Int32(verification), text: String(cString: text)))
        }
        return TLSFailure(reason: TLSFailure.queued())
    }
}

/// Why TLS went wrong, in words for a person.
struct TLSFailure: Error, CustomStringConvertible {
    var reason: String
    /// True where nobody refused anything: the peer went away, or has not answered. It may be there the next time.
    var mayPass = false
    var description: String { reason }

    /// What libssl's error queue of this thread says; empties it.
    static func queued() -> String {
        let code = ERR_get_error()
        ERR_clear_error()
        guard code != 0 else { return "the connection broke off" }
        let reason = Int32(truncatingIfNeeded: code & 0x7FFFFF)
        if let known = alerts[reason] { return known }
        guard let text = ERR_reason_error_string(code) else { return "TLS error \(code)" }
        return String(cString: text)
    }

    /// Alerts of a peer that refuses our certificate, and what else commonly goes wrong.
    private static let alerts: [Int32: String] = [
        SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED: "the peer wants a certificate and none was shown",
        SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE: "the peer showed no certificate",
        SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED: "the peer says that our certificate has expired (or is not valid yet)",
        SSL_R_TLSV1_ALERT_UNKNOWN_CA: "the peer says that our certificate is of an unknown authority",
        SSL_R_SSLV3_ALERT_BAD_CERTIFICATE: "the peer says that our certificate is bad",
        SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN: "the peer does not accept our certificate",
        SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE: "the peer says that our certificate is not for this use",
        SSL_R_TLSV1_ALERT_DECRYPT_ERROR: "the peer could not verify our certificate's signature",
        SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE: "the peer refused the handshake",
        SSL_R_TLSV1_ALERT_PROTOCOL_VERSION: "the peer does not speak TLS 1.3",
        SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL: "the peer does not speak HTTP/2",
        SSL_R_HTTP_REQUEST: "the peer speaks plain HTTP",
        SSL_R_WRONG_VERSION_NUMBER: "the peer does not speak TLS",
        SSL_R_UNSUPPORTED_PROTOCOL: "the peer does not speak TLS 1.3",
    ]

    static func explain(verification code: Int32, text: String) -> String {
        switch code {
        case X509_V_ERR_CERT_HAS_EXPIRED: "the peer's certificate has expired"
        case X509_V_ERR_CERT_NOT_YET_VALID: "the peer's certificate is not valid yet (or a clock is wrong)"
        case X509_V_ERR_HOSTNAME_MISMATCH: "the peer's certificate is for another host name"
        case X509_V_ERR_IP_ADDRESS_MISMATCH: "the peer's certificate is for another address"
        case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE,
            X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, X509_V_ERR_CERT_SIGNATURE_FAILURE:
            "the peer's certificate is of an unknown authority (\(text))"
        default: "the peer's certificate is refused: \(text)"
        }
    }
}
