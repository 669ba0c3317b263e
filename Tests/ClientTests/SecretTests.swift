import FarmAPI
import Glibc
import Testing

@testable import Client

@Suite struct SecretTests {
    @Test(arguments: [
        ("id=x", SecretOption(id: "x", source: .automatic)),
        ("id=x,src=/a b", SecretOption(id: "x", source: .file("/a b"))),
        ("ID=x,Source=f", SecretOption(id: "x", source: .file("f"))),
        ("id=x,env=NAME", SecretOption(id: "x", source: .variable("NAME"))),
        ("type=env,id=x", SecretOption(id: "x", source: .variable("x"))),
        ("type=env,id=x,src=NAME", SecretOption(id: "x", source: .variable("NAME"))),
        ("type=file,id=x", SecretOption(id: "x", source: .file("x"))),
        ("id=x,\"src=a,b\"", SecretOption(id: "x", source: .file("a,b"))),
        ("\"id=say \"\"hi\"\"\",env=A", SecretOption(id: "say \"hi\"", source: .variable("A"))),
    ])
    func `secrets are named as buildx names them`(text: String, expected: SecretOption) throws {
        #expect(try SecretOption(parsing: text) == expected)
    }

    @Test(arguments: [
        ("", "key=value"), ("x", "key=value"), ("src=f", "'id' is missing"), ("id=", "'id' is missing"),
        ("id=x,mode=1", "unknown key 'mode'"),
        ("id=x,type=ssh", "expected file or env"), ("id=x,src=a,env=B", "exclude each other"), ("id=x,type=file,env=B", "no meaning"),
        ("\"id=x", "not closed"), ("\"id=x\"y", "expected ','"),
    ])
    func `what names no secret is refused`(text: String, says: String) {
        let error = #expect(throws: ClientError.self) { try SecretOption(parsing: text) }
        #expect(error?.exitCode == 2)
        #expect(error?.description.contains(says) == true, "\(error?.description ?? "")")
    }

    @Test func `values come from the environment or from files`() throws {
        let repository = try TemporaryRepository()
        defer { repository.remove() }
        try repository.write("from a file\n", to: "token")
        try repository.write("home", to: "../key")
        let environment = ["x": "automatic", "NAME": "named", "HOME": repository.root]
        let options = [
            SecretOption(id: "x", source: .automatic), SecretOption(id: "token", source: .automatic),
            SecretOption(id: "n", source: .variable("NAME")), SecretOption(id: "h", source: .file("~/key")),
            SecretOption(id: "v", source: .value("stands there")),
        ]
        let values = try SecretValues(options, environment: environment, folder: repository.folder).values
        #expect(
            values.mapValues { String(decoding: $0, as: UTF8.self) } == [
                "x": "automatic", "token": "from a file\n", "n": "named", "h": "home", "v": "stands there",
            ])
    }

    @Test func `a value that is not there or too large is an error that names the secret`() throws {
        let repository = try TemporaryRepository()
        defer { repository.remove() }
        try repository.write(String(repeating: "a", count: BuildSecrets.valueLimit), to: "full")
        try repository.write(String(repeating: "a", count: BuildSecrets.valueLimit + 1), to: "large")
        func read(_ source: SecretOption.Source) throws -> SecretValues {
            try SecretValues([SecretOption(id: "key", source: source)], environment: [:], folder: repository.folder)
        }
        #expect(try read(.file("full")).values["key"]?.count == BuildSecrets.valueLimit)
        for (source, says) in [
            (SecretOption.Source.file("large"), "larger than 500 KiB"), (.file("none"), "does not exist"),
            (.variable("NONE"), "variable NONE"),
            (.automatic, "neither an environment variable nor a file"), (.file("."), "a folder"),
        ] {
            let error = #expect(throws: ClientError.self) { try read(source) }
            #expect(error?.description.contains("--secret id=key: ") == true)
            #expect(error?.description.contains(says) == true, "\(error?.description ?? "")")
        }
    }

    @Test(arguments: [
        ("value: s3cret-word", "value: xxxxxxxxxxx"), ("value: 's3cret '' word' # note", "value: 'xxxxxxxxxxxxxx' # note"),
        ("value: \"s3cret \\\" word\"", "value: \"xxxxxxxxxxxxxx\""),
        ("value: |\n      s3cret\n      word", "value: |\n      xxxxxx\n      xxxx"),
        ("value: >-\n      s3cret\n      word", "value: >-\n      xxxxxx\n      xxxx"),
        ("value: s3cret\n      word", "value: xxxxxx\n      xxxx"),
        ("value: ünï-word", "value: xxxxxxxx"), ("value: 's3cret\n      word'", "value: 'xxxxxx\nxxxxxxxxxx'"),
    ])
    func `a secret's value is overwritten in the file that is sent`(written: String, sent: String) throws {
        let text =
            "configVersion: 1\nproject: p\n---\nimage: a\nfrom: debian\nsecrets:\n  - id: key\n    \(written)\nshell:\n  install: word\n"
        let masked = try SecretMask.masking(text, name: "werf.yaml")
        #expect(masked.contains("    \(sent)\nshell:\n  install: word\n"), "\(masked)")
        #expect(masked.split(separator: "\n").count == text.split(separator: "\n").count)
    }

    @Test func `a value that can't be taken out of the file is refused`() {
        let text = "configVersion: 1\nproject: p\n---\nimage: a\nfrom: debian\nsecrets:\n  - id: key\n    value: &v word\n"
        let error = #expect(throws: ClientError.self) { try SecretMask.masking(text, name: "werf.yaml") }
        #expect(error?.description == "werf.yaml:8: the value of a secret can't be told from the file: give it by 'env' or 'src'")
    }
}
