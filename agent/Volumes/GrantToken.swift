import BuildPlan
import Certificates
import FarmAPI

/// Checks the text form of grants, `base64url(JSON).base64url(signature)`.
enum GrantToken {
    /// What a key's names and a time take.
    private static let lengthLimit = 64 << 10

    /// Why the token does not permit this, nil if it does.
    static func fault(_ token: String, subject: String, object: String, now: Timestamp, verifier: GrantVerifier) -> String? {
        let parts = token.split(separator: ".", omittingEmptySubsequences: false)
        guard token.utf8.count <= lengthLimit, parts.count == 2, let message = Base64URL.decode(parts[0]),
            let signature = Base64URL.decode(parts[1])
        else { return "the grant is malformed" }
        guard verifier.isValid(signature: signature, of: message) else { return "the grant is not signed by this farm's coordinator" }
        guard let grant = try? FarmJSON.decode(Grant.self, from: message) else { return "the grant is malformed" }
        guard grant.subject == subject else { return "the grant is another agent's" }
        guard grant.object == object else { return "the grant is for something else" }
        guard now < grant.expires else { return "the grant has expired" }
        return nil
    }
}

/// RFC 4648 section 5, without padding.
enum Base64URL {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
    private static let values: [UInt8: UInt32] = Dictionary(
        uniqueKeysWithValues: alphabet.enumerated().map { ($0.element, UInt32($0.offset)) })

    static func encode(_ bytes: [UInt8]) -> String {
        var text: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<min(start + 3, bytes.count)]
            var value: UInt32 = 0
            for index in 0..<3 { value = value << 8 | (start + index < bytes.count ? UInt32(bytes[start + index]) : 0) }
            for index in 0...group.count { text.append(alphabet[Int(value >> UInt32(18 - 6 * index) & 63)]) }
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// Nil for anything that ``encode(_:)`` would not have made.
    static func decode(_ text: some StringProtocol) -> [UInt8]? {
        var bytes: [UInt8] = []
        var bits: UInt32 = 0
        var count = 0
        for character in text.utf8 {
            guard let value = values[character] else { return nil }
            bits = bits << 6 | value
            count += 6
            if count >= 8 {
                count -= 8
                bytes.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
                bits &= (1 << UInt32(count)) - 1
            }
        }
        return count < 6 && bits == 0 ? bytes : nil
    }
}
