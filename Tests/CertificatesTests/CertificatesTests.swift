import Certificates
import Testing

struct GrantTests {
    @Test func `what was signed is valid, and nothing else is`() throws {
        let key = try GrantSigningKey.create()
        let verifier = try GrantVerifier(publicKey: key.publicKey)
        let message = Array("layer 1".utf8)
        let signature = try key.sign(message)
        #expect(signature.count == GrantVerifier.signatureLength)
        #expect(verifier.isValid(signature: signature, of: message))
        #expect(!verifier.isValid(signature: signature, of: Array("layer 2".utf8)))
        #expect(!verifier.isValid(signature: [], of: message))
        var changed = signature
        changed[10] ^= 1
        #expect(!verifier.isValid(signature: changed, of: message))
        #expect(!(try GrantVerifier(publicKey: GrantSigningKey.create().publicKey)).isValid(signature: signature, of: message))
    }
}
