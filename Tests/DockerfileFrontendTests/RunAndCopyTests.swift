import BuildPlan
import Testing

@testable import DockerfileFrontend

@Suite struct RunAndCopyTests {
    private static let path = "PATH=\(StageBuilder.defaultPath)"

    private func run(_ text: String, _ options: FrontendOptions = FrontendOptions(platform: amd64)) throws -> RunOperation {
        let stage = try target("FROM base\n" + text, options)
        guard case .run(let run) = stage.steps.last?.operation else { throw Complaint("no RUN at the end") }
        return run
    }

    private func copy(_ text: String) throws -> CopyOperation {
        let stage = try target("FROM scratch AS other\nFROM base\n" + text)
        guard case .copy(let copy) = stage.steps.last?.operation else { throw Complaint("no COPY at the end") }
        return copy
    }

    @Test(
        "RUN's arguments",
        arguments: [
            ("RUN make all", ["/bin/sh", "-c", "make all"]), ("RUN make  \"$x\" \\\n  && b", ["/bin/sh", "-c", "make  \"$x\"   && b"]),
            ("RUN [\"a\", \"$b\"]", ["a", "$b"]), ("RUN [ -f x ] && y", ["/bin/sh", "-c", "[ -f x ] && y"]),
            ("SHELL [\"/bin/bash\", \"-euc\"]\nRUN x", ["/bin/bash", "-euc", "x"]), ("SHELL [\"/bin/bash\"]\nRUN [\"x\"]", ["x"]),
            ("RUN --network=none --mount=target=/a x --y", ["/bin/sh", "-c", "x --y"]), ("RUN -- --x", ["/bin/sh", "-c", "--x"]),
            ("RUN <<EOF\na\nb $x\nEOF", ["/bin/sh", "-c", "a\nb $x\n"]), ("RUN <<-EOF\n\ta\n\tEOF", ["/bin/sh", "-c", "a\n"]),
            ("RUN cat <<EOF > x\na\nEOF", ["/bin/sh", "-c", "cat <<EOF > x\na\nEOF"]),
            ("RUN a <<X b <<-'Y'\n1\nX\n\t2\n\tY", ["/bin/sh", "-c", "a <<X b <<-'Y'\n1\nX\n\t2\nY"]),
            ("RUN <<EOF sh\na\nEOF", ["/bin/sh", "-c", "<<EOF sh\na\nEOF"]),
            ("RUN --network=host <<EOF\na\nEOF", ["/bin/sh", "-c", "a\n"]),
            ("RUN <<EOF\n#!/bin/python3\na\nEOF", ["/dev/pipes/EOF"]), ("RUN <<\"a/b\"\n#!/x\na/b", ["/dev/pipes/script"]),
        ])
    func arguments(text: String, arguments: [String]) throws { #expect(try run(text).arguments == arguments) }

    @Test("A heredoc with an interpreter becomes a file")
    func script() throws {
        #expect(
            try run("RUN <<-EOF\n\t#!/bin/python3\n\tprint(1)\n\tEOF").files == [
                InlineFile(path: "/dev/pipes/EOF", content: "#!/bin/python3\nprint(1)\n")
            ])
        #expect(try run("RUN <<EOF\nprint(1)\nEOF").files.isEmpty)
    }

    @Test(
        "RUN's environment is ENV, then the ARGs that no ENV hides",
        arguments: [
            ("", []), ("ENV a=1\nARG b=2\nENV c=3", ["a=1", "c=3", "b=2"]), ("ARG a=1\nENV a=2", ["a=2"]), ("ENV a=2\nARG a=1", ["a=2"]),
            ("ARG a=1\nARG a=2", ["a=2"]),
            ("ARG a=1\nARG a", ["a=1"]), ("ARG a", []), ("ARG a=", ["a="]), ("ARG given", ["given=yes"]), ("ARG given=no", ["given=yes"]),
            ("ARG a=1 b=2", ["a=1", "b=2"]), ("ARG a=1\nARG b=$a", ["a=1", "b=1"]), ("ARG a=1 b=$a", ["a=1", "b="]),
            ("ARG TARGETARCH", ["TARGETARCH=amd64"]),
            ("ARG TARGETPLATFORM\nARG BUILDOS", ["TARGETPLATFORM=linux/amd64", "BUILDOS=linux"]), ("ARG TARGETARCH=x", ["TARGETARCH=x"]),
            ("ARG TARGETVARIANT", ["TARGETVARIANT="]),
            ("ARG BUILDPLATFORM BUILDARCH", ["BUILDPLATFORM=linux/amd64", "BUILDARCH=amd64"]), ("ARG a=\"b c\"", ["a=b c"]),
            ("ENV a=1\nARG b=${a}x", ["a=1", "b=1x"]),
        ])
    func environment(text: String, environment: [String]) throws {
        let options = FrontendOptions(buildArguments: ["given": "yes"], platform: amd64)
        #expect(try run(text + "\nRUN x", options).environment == [Self.path] + environment)
    }

    @Test("An ARG counts from its line on")
    func scope() throws {
        let stage = try target("FROM base\nRUN a\nARG x=1\nRUN b\nENV y=2\nRUN c")
        let environments = stage.steps.compactMap {
            if case .run(let run) = $0.operation { run.environment.dropFirst().map(\.self) } else { nil }
        }
        #expect(environments == [[], ["x=1"], ["y=2", "x=1"]])
    }

    @Test("Global ARGs serve FROM, and a stage that declares them again")
    func globals() throws {
        let text = "ARG version=1\nARG base=img:$version other\nFROM $base AS a\nARG version\nARG base=mine\nARG other\nRUN x"
        let stage = try target(text)
        #expect(stage.base == .image("img:1"))
        guard case .run(let run) = stage.steps[0].operation else { throw Complaint("no RUN") }
        #expect(run.environment.dropFirst() == ["version=1", "base=mine"])
        #expect(try target(text, FrontendOptions(buildArguments: ["version": "2"], platform: amd64)).base == .image("img:2"))
        #expect(try target("ARG a=1\nFROM x$a\nENV v=$a").config.env.last == "v=")
    }

    @Test("A stage upon a stage has its ARGs, ENV, user and directory")
    func inherits() throws {
        let stage = try target("FROM base AS a\nARG x=1\nENV y=2\nUSER me\nWORKDIR /w\nFROM a AS b\nRUN z")
        guard case .run(let run) = stage.steps[0].operation else { throw Complaint("no RUN") }
        #expect(run.environment.dropFirst() == ["y=2", "x=1"])
        #expect(run.user == "me")
        #expect(run.workingDirectory == "/w")
    }

    @Test("Proxies reach RUN without an ARG and don't count in its key")
    func proxies() throws {
        let with = try run("RUN x", FrontendOptions(buildArguments: ["http_proxy": "p", "HTTPS_PROXY": "q"], platform: amd64))
        #expect(with.environment == [Self.path, "http_proxy=p", "HTTPS_PROXY=q"])
        #expect(with.unkeyedNames == ["http_proxy", "HTTPS_PROXY"])
        let declared = try run("ARG http_proxy\nRUN x", FrontendOptions(buildArguments: ["http_proxy": "p"], platform: amd64))
        #expect(declared.environment == [Self.path, "http_proxy=p"])
        #expect(declared.unkeyedNames.isEmpty)
        #expect(try run("RUN x").unkeyedNames.isEmpty)
    }

    @Test(
        "RUN's network",
        arguments: [
            ("", NetworkMode.host, NetworkMode.host), ("", .none, .none), ("--network=none", .host, .none),
            ("--network=host", .none, .host), ("--network=default", .none, .none),
        ])
    func network(flag: String, build: NetworkMode, network: NetworkMode) throws {
        #expect(try run("RUN \(flag) x", FrontendOptions(platform: amd64, network: build)).network == network)
    }

    struct CopyCase: Sendable, CustomTestStringConvertible {
        let text: String
        let sources: [String]
        let destination: String
        var testDescription: String { text }
        init(_ text: String, _ sources: [String], _ destination: String) {
            self.text = text
            self.sources = sources
            self.destination = destination
        }
    }

    @Test(
        "COPY's sources are below the root, its destination is absolute",
        arguments: [
            CopyCase("COPY a /b", ["a"], "/b"), CopyCase("COPY a /b/", ["a"], "/b/"), CopyCase("COPY a b /c", ["a", "b"], "/c/"),
            CopyCase("COPY a b /c/", ["a", "b"], "/c/"),
            CopyCase("COPY /a /b", ["a"], "/b"), CopyCase("COPY ./a/ /b", ["a"], "/b"), CopyCase("COPY . /b", [""], "/b"),
            CopyCase("COPY / /b", [""], "/b"),
            CopyCase("COPY ../../a /b", ["a"], "/b"), CopyCase("COPY a/../../b /b", ["b"], "/b"), CopyCase("COPY .. /b", [""], "/b"),
            CopyCase("COPY *.go a?b [a-c]/* /b/", ["*.go", "a?b", "[a-c]/*"], "/b/"),
            CopyCase("COPY a .", ["a"], "/w/"), CopyCase("COPY a ./", ["a"], "/w/"), CopyCase("COPY a b", ["a"], "/w/b"),
            CopyCase("COPY a b/", ["a"], "/w/b/"),
            CopyCase("COPY a b/.", ["a"], "/w/b/"), CopyCase("COPY a ..", ["a"], "/"), CopyCase("COPY a /", ["a"], "/"),
            CopyCase("COPY a ../x/", ["a"], "/x/"),
            CopyCase("COPY [\"a b\", \"/c d/\"]", ["a b"], "/c d/"), CopyCase("COPY a\\ b /c", ["a\\"], ""),
            CopyCase("ENV v=1.2\nCOPY a-$v /b-${v%.*}", ["a-1.2"], "/b-1"),
            CopyCase("COPY \"a\" /b", ["a"], "/b"), CopyCase("COPY a $unset", ["a"], "/w/"), CopyCase("ADD a.tar /b", ["a.tar"], "/b"),
            CopyCase("COPY --link a /b", ["a"], "/b"),
            CopyCase("COPY a\\[1\\] /b", ["a[1]"], "/b"), CopyCase("COPY 'a\\[1]' /b", ["a\\[1]"], "/b"),
        ].filter { !$0.destination.isEmpty })
    func paths(example: CopyCase) throws {
        let copy = try copy("WORKDIR /w\n" + example.text)
        #expect(copy.sources == example.sources.map(CopySource.tree))
        #expect(copy.destination == example.destination)
    }

    @Test("COPY's and ADD's flags")
    func flags() throws {
        let plain = try copy("COPY a b")
        #expect(plain == CopyOperation(sources: [.tree("a")], from: .context, destination: "/b"))
        let full = try copy("ARG m=644\nENV u=me\nCOPY --from=OTHER --chown=$u:1 --chmod=0$m --exclude=*.md --exclude=$u --link=false a b")
        #expect(
            full
                == CopyOperation(
                    sources: [.tree("a")], from: .stage(0), destination: "/b", owner: "me:1", mode: 0o644, excludes: ["*.md", "me"]))
        #expect(try copy("COPY --from=img:1 a b").from == .image("img:1"))
        #expect(try copy("ADD a b").unpacksArchives)
        #expect(try !copy("ADD --unpack=false a b").unpacksArchives)
        #expect(try copy("ADD --from=other a b").from == .stage(0))
        #expect(try !copy("COPY a.tar b").unpacksArchives)
    }

    @Test(
        "COPY's heredocs become files, expanded unless their name is quoted",
        arguments: [
            ("COPY <<f /d/\na $v\nf", "f", "a 1\n"), ("COPY <<'f' /d/\na $v\nf", "f", "a $v\n"),
            ("COPY <<-f.txt /d/\n\ta\n\tf.txt", "f.txt", "a\n"),
            ("ADD <<f /d/\n\"$v\" \\$v it's\nf", "f", "\"1\" $v it's\n"), ("COPY <<f /d/\nf", "f", ""),
        ])
    func heredocs(text: String, name: String, content: String) throws {
        let copy = try copy("ENV v=1\n" + text)
        #expect(copy.sources == [.inline(InlineFile(path: name, content: content))])
        #expect(copy.destination == "/d/")
    }

    @Test("Heredocs and paths can be mixed")
    func mixed() throws {
        let copy = try copy("COPY <<a x <<b /d\n1\na\n2\nb")
        #expect(
            copy.sources == [.inline(InlineFile(path: "a", content: "1\n")), .tree("x"), .inline(InlineFile(path: "b", content: "2\n"))])
        #expect(copy.destination == "/d/")
    }

    @Test("Another escape character is meant everywhere")
    func escape() throws {
        let stage = try target("# escape=`\nFROM base\nENV a=C:\\x b=`$a\nRUN a `\n b")
        #expect(stage.config.env.suffix(2) == ["a=C:\\x", "b=$a"])
        guard case .run(let run) = stage.steps[0].operation else { throw Complaint("no RUN") }
        #expect(run.arguments == ["/bin/sh", "-c", "a  b"])
    }
}
