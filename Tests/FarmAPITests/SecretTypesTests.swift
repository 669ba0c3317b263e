import FarmAPI
import Testing

struct SecretTypesTests {
    @Test(arguments: ["", "f", "fo", "foo", "foob", "fooba", "foobar", "\u{0}\u{1}ü"]) func `what is encoded comes back`(text: String) {
        #expect(Base64.decode(Base64.encode(Array(text.utf8))) == Array(text.utf8))
    }

    @Test(arguments: ["Zg", "Zg=", "Zh==", "Z===", "====", "Zg==Zg==", "Zm9v\n", "Zm 9", "Zm-_", "Zm9vü"])
    func `what is no base 64 is nothing`(text: String) { #expect(Base64.decode(text) == nil) }

    @Test func `the form of a client's request is fixed`() throws {
        let secrets = BuildSecrets(["token": Array("foobar".utf8), "app/key": [0xFF]])
        let json = try FarmJSON.encode(secrets)
        #expect(String(decoding: json, as: UTF8.self) == #"{"app/key":"/w==","token":"Zm9vYmFy"}"#)
        #expect(try FarmJSON.decode(BuildSecrets.self, from: json) == secrets)
    }

    @Test func `a value that can't be read is named by its id, and not shown`() {
        let error = #expect(throws: FarmJSONError.self) {
            try FarmJSON.decode(BuildSecrets.self, from: Array(#"{"token":"hunter2!"}"#.utf8))
        }
        #expect(error?.description.contains("secret 'token'") == true)
        #expect(error?.description.contains("hunter") == false)
    }
}
