import Testing

@testable import WerfFrontend

@Suite struct BadInputTests {
    @Test(arguments: [
        Wrong("form: alpine\n", line: 5, "unknown directive 'form'", "did you mean from?"),
        Wrong("from: alpine\nshell:\n  instal: make\n", line: 7, "shell", "unknown directive 'instal'", "did you mean install?"),
        Wrong("from: alpine\nmount:\n- to: /a\n  from: build_dir\n  mode: 7\n", line: 9, "mount", "unknown directive 'mode'"),
        Wrong(
            "from: alpine\ngit:\n- to: /a\n  stageDependencies: {beforeInstall: x}\n", line: 8, "git.stageDependencies", "'beforeInstall'"),
        Wrong("from: alpine\nimageSpec:\n  config:\n    labels: {a: b}\n    entry: x\n", line: 9, "imageSpec.config", "'entry'"),
        Wrong("dockerfile: Dockerfile\nshell: {install: x}\n", line: 6, "unknown directive 'shell'"),
    ])
    func `An unknown key is refused with its file, its line and the nearest known one`(_ wrong: Wrong) {
        wrong.check(imageError(wrong.directives))
    }

    @Test(arguments: [
        Wrong("from: [alpine]\n", line: 5, "'from' expects a text, not a list"),
        Wrong("from: alpine\nshell: make\n", line: 6, "shell: expected a mapping of directives, not 'make'"),
        Wrong("from: alpine\nshell:\n  install: {a: b}\n", line: 7, "'install' expects a text or a list of texts, not a mapping"),
        Wrong("from: alpine\nshell:\n  install:\n  - 5\n", line: 8, "not '5'; put it in quotes"),
        Wrong("from: alpine\nmount: {to: /a, from: build_dir}\n", line: 6, "'mount' expects a list, not a mapping"),
        Wrong("from: alpine\nmount: [/a]\n", line: 6, "mount: expected a mapping of directives, not '/a'"),
        Wrong("from: alpine\nfinal: maybe\n", line: 6, "'final' expects true or false, not 'maybe'"),
        Wrong("from: alpine\ndocker: {ENV: [A]}\n", line: 6, "'ENV' expects names and values, not a list"),
        Wrong("from: alpine\ndocker: {ENV: {A: [b]}}\n", line: 6, "'A' expects a text, not a list"),
        Wrong("dockerfile: Dockerfile\nargs: [A=b]\n", line: 6, "'args' expects names and values"),
        Wrong("from: alpine\nimageSpec: {config: {healthcheck: {interval: often}}}\n", line: 6, "'interval' expects a whole number"),
    ])
    func `A value of the wrong type is refused with what was expected`(_ wrong: Wrong) { wrong.check(imageError(wrong.directives)) }

    @Test(arguments: [
        Wrong("from: alpine\nmount:\n- from: build_dir\n", line: 7, "'to' is required"),
        Wrong("from: alpine\nmount:\n- from: build_dir\n  to: var/cache\n", line: 8, "'to: var/cache' is not absolute"),
        Wrong("from: alpine\nmount:\n- {from: build_dir, to: /}\n", line: 7, "would hide the whole image"),
        Wrong("from: alpine\nmount:\n- {from: build_dir, to: /a/../../b}\n", line: 7, "has '..'"),
        Wrong("from: alpine\nmount:\n- {from: build_dir, to: /a/../\u{301}b}\n", line: 7, "has '..'"),
        Wrong(
            "from: alpine\nmount:\n- {from: build_dir, to: /a}\n- {from: tmp_dir, to: /a/}\n", line: 8, "'to: /a' is given twice",
            "first in line 7"),
        Wrong(
            "from: alpine\nmount:\n- {from: build_dir, fromPath: /x, to: /a}\n", line: 7,
            "'from: build_dir' and 'fromPath: /x' exclude each other"),
        Wrong("from: alpine\nmount:\n- {from: cache_dir, to: /a}\n", line: 7, "'from: cache_dir': expected tmp_dir or build_dir"),
        Wrong("from: alpine\nmount:\n- {to: /a}\n", line: 7, "expected from: tmp_dir, from: build_dir or fromPath"),
        Wrong("from: alpine\nmount:\n- {fromPath: cache, to: /a}\n", line: 7, "'fromPath: cache' is not absolute"),
    ])
    func `A mount has one absolute target that no other has, and one source`(_ wrong: Wrong) { wrong.check(imageError(wrong.directives)) }

    @Test(arguments: [
        Wrong("shell: {install: make}\n", line: 4, "'from' is required"),
        Wrong("from: alpine\nfromImage: base\n", line: 6, "'from' and 'fromImage' exclude each other"),
        Wrong("fromImage: base\n", line: 5, "the file has no image 'base'"),
        Wrong("fromImage: ap\n", line: 5, "the file has no image 'ap' (did you mean app?)"),
        Wrong("from: app\n", line: 5, "an image can't stand on itself"),
        Wrong("from: a b\n", line: 5, "'a b' is no image name"),
        Wrong("from: scratch\nfromLatest: true\n", line: 6, "'fromLatest' means nothing with from: scratch"),
    ])
    func `An image stands on one base that there is`(_ wrong: Wrong) { wrong.check(imageError(wrong.directives)) }

    @Test(arguments: [
        Wrong("from: alpine\nimport:\n- {from: tools, add: /a, after: install}\n", line: 7, "the file has no image 'tools'"),
        Wrong("from: alpine\nimport:\n- {from: app, add: /a, after: install}\n", line: 7, "an image can't need itself"),
        Wrong("from: alpine\nimport:\n- {from: 'a:1', add: a, after: install}\n", line: 7, "'add: a' is not absolute"),
        Wrong("from: alpine\nimport:\n- {from: 'a:1', after: install}\n", line: 7, "'add' is required"),
        Wrong("from: alpine\nimport:\n- {from: 'a:1', add: /a}\n", line: 7, "expected before: install"),
        Wrong("from: alpine\nimport:\n- {from: 'a:1', add: /a, after: install, before: setup}\n", line: 7, "exclude each other"),
        Wrong("from: alpine\nimport:\n- {from: 'a:1', add: /a, after: beforeSetup}\n", line: 7, "expected install or setup"),
        Wrong("from: alpine\nimport:\n- {from: 'a:1', add: /a, after: setup, stage: install}\n", line: 7, "'a:1' is external"),
        Wrong("from: alpine\nimport:\n- {from: 'a:1', add: /a, after: setup, stage: build}\n", line: 7, "'stage: build' is no stage"),
        Wrong("from: alpine\nimport:\n- {add: /a, after: setup}\n", line: 7, "'from' is required"),
        Wrong(
            "from: alpine\nimport:\n- {from: 'a:1', image: 'b:1', add: /a, after: setup}\n", line: 7,
            "'from' and 'image' exclude each other"),
    ])
    func `An import names an image, a place and absolute paths`(_ wrong: Wrong) { wrong.check(imageError(wrong.directives)) }

    @Test(arguments: [
        Wrong("from: alpine\ngit:\n- {add: src, to: /app}\n", line: 7, "'add: src' is not absolute"),
        Wrong("from: alpine\ngit:\n- {add: /../x, to: /app}\n", line: 7, "has '..'"),
        Wrong("from: alpine\ngit:\n- add: /src\n", line: 7, "'to' is required"),
        Wrong("from: alpine\ngit:\n- {to: /app, includePaths: /src}\n", line: 7, "relative to 'add'"),
        Wrong("from: alpine\ngit:\n- {to: /app, excludePaths: [a, ../b]}\n", line: 7, "'../b'"),
        Wrong("from: alpine\ngit:\n- {to: /app, excludePaths: ['[a']}\n", line: 7, "pattern '[a'"),
        Wrong("from: alpine\ngit:\n- {to: /app, owner: 'a:b'}\n", line: 7, "'owner: a:b'"),
        Wrong("from: alpine\ngit:\n- {to: /app, stageDependencies: {install: /x}}\n", line: 7, "relative to 'add'"),
        Wrong("from: alpine\ngit:\n- {add: /a, to: /app}\n- {add: /b, to: /app}\n", line: 8, "meet in /app"),
    ])
    func `A mapping's paths are absolute, its masks relative, none of them leads out`(_ wrong: Wrong) {
        wrong.check(imageError(wrong.directives))
    }

    @Test(arguments: [
        Wrong("from: alpine\nansible: {install: []}\n", line: 6, "'ansible' is not supported"),
        Wrong("from: alpine\ngit:\n- {url: 'https://host/a/b.git', to: /app}\n", line: 7, "'url' is not built yet: remote repositories"),
        Wrong("from: alpine\nfromArtifact: x\n", line: 6, "'fromArtifact' is not supported: write from: NAME"),
        Wrong("from: alpine\nplatform: [linux/amd64, linux/arm64]\n", line: 6, "several platforms are not built yet"),
        Wrong("from: alpine\nnetwork: container:x\n", line: 6, "is not built yet: expected default, host or none"),
        Wrong("from: alpine\nimageSpec: {config: {removeEnv: [/A.*/]}}\n", line: 6, "regular expressions", "not built yet"),
        Wrong("dockerfile: Dockerfile\ncontextAddFiles: [a]\n", line: 6, "'contextAddFiles' is not built yet"),
        Wrong("dockerfile: Dockerfile\nssh: default\n", line: 6, "'ssh' is not built yet"),
        Wrong("from: alpine\nimport:\n- {artifact: x, add: /a, after: setup}\n", line: 7, "'artifact' is not supported: write from: NAME"),
    ])
    func `What is not built is refused by its name`(_ wrong: Wrong) { wrong.check(imageError(wrong.directives)) }

    @Test(arguments: [
        Wrong("from: alpine\nsecrets:\n- {id: a}\n", line: 7, "expects one of env, src and value, not none"),
        Wrong("from: alpine\nsecrets:\n- {id: a, env: A, src: b}\n", line: 7, "not several"),
        Wrong("from: alpine\nsecrets:\n- {value: x}\n", line: 7, "a secret with a value expects an id"),
        Wrong("from: alpine\nsecrets:\n- {env: A}\n- {id: A, src: x}\n", line: 8, "the secret 'A' is given twice"),
        Wrong("from: alpine\nsecrets:\n- {id: ../x, env: A}\n", line: 7, "is no id of a secret"),
        Wrong("from: alpine\ndependencies:\n- {from: base, before: install}\n", line: 7, "the file has no image 'base'"),
        Wrong("from: alpine\ndocker: {WORKDIR: app}\n", line: 6, "'WORKDIR: app' is not absolute"),
        Wrong("from: alpine\ndocker: {EXPOSE: ['80/icmp']}\n", line: 6, "unknown protocol 'icmp'"),
        Wrong("from: alpine\ndocker: {HEALTHCHECK: 'sometimes'}\n", line: 6, "expected CMD or NONE"),
        Wrong("from: alpine\ndocker: {USER: a}\nimageSpec: {author: b}\n", line: 7, "'docker' and 'imageSpec' exclude each other"),
        Wrong("from: alpine\nimageSpec: {config: {stopSignal: HELLO}}\n", line: 6, "no signal of Linux"),
        Wrong("dockerfile: ../Dockerfile\n", line: 5, "leads out of the repository"),
        Wrong("dockerfile: Dockerfile\ncontext: /abs\n", line: 6, "leads out of the repository"),
        Wrong("dockerfile: Dockerfile\naddHost: [name]\n", line: 6, "expected name:address"),
    ])
    func `Each other directive has its own rules`(_ wrong: Wrong) { wrong.check(imageError(wrong.directives)) }

    @Test(arguments: [
        ("image: a\nfrom: b\n---\nimage: b\nfrom: a\n", "a → b → a"),
        (
            "image: a\nfrom: x\nimport:\n- {from: b, add: /x, after: setup}\n---\nimage: b\nfrom: c\n---\nimage: c\nfrom: a\n",
            "a → b → c → a"
        ),
        (
            "image: a\nfrom: x\ndependencies:\n- from: b\n  before: setup\n  imports: [{type: ImageID, targetEnv: B}]\n---\nimage: b\nfrom: a\n",
            "a → b → a"
        ),
    ])
    func `Images that need each other in a circle are refused, whichever way they need each other`(_ text: String, _ circle: String) {
        #expect(error("project: demo\nconfigVersion: 1\n---\n" + text).contains("in a circle: \(circle)"))
    }

    @Test func `A file has one meta section with version 1 and a name of a project`() {
        #expect(error("image: a\nfrom: x\n").contains("the meta section is not there"))
        #expect(error("configVersion: 1\n").hasPrefix("werf.yaml:1: meta: 'project' is required"))
        #expect(error("configVersion: 2\nproject: a\n").hasPrefix("werf.yaml:1: meta: 'configVersion' expects 1, not '2'"))
        #expect(error("configVersion: 1\nproject: A b\n").hasPrefix("werf.yaml:2: meta: 'project: A b'"))
        #expect(
            error("configVersion: 1\nproject: a\n---\nconfigVersion: 1\nproject: b\n").hasPrefix("werf.yaml:4: meta: the file has this"))
        #expect(error("configVersion: 1\nproject: a\n---\nfrom: x\n").hasPrefix("werf.yaml:4: a document is either the meta section"))
    }

    @Test func `Each name of an image is given once`() {
        let start = "configVersion: 1\nproject: a\n---\n"
        #expect(
            error(start + "image: a\nfrom: x\n---\nimage: a\nfrom: y\n").hasPrefix(
                "werf.yaml:7: image: 'a' is the name of another image in line 4"))
        #expect(error(start + "image: [a, a]\nfrom: x\n").contains("'a' is given twice"))
        #expect(error(start + "image: []\nfrom: x\n").contains("expects at least one name"))
        #expect(error(start + "image: 'a b'\nfrom: x\n").contains("'a b' is no image name"))
        #expect(error(start + "image: ~\ndockerfile: x\n").contains("expects a name where a Dockerfile is built"))
    }

    @Test func `What is not YAML is refused with its line`() {
        #expect(error("configVersion: 1\nproject: [a\n").hasPrefix("werf.yaml:"))
        #expect(error("configVersion: 1\nproject: a\nproject: b\n").contains("'project' is given twice in one mapping"))
        #expect(error("configVersion: 1\n\tproject: a\n").contains("not YAML"))
        #expect(error("- a\n").contains("expected a mapping of directives, not a list"))
        #expect(error("\u{1}").contains("not YAML"))
        #expect(error("").contains("the meta section is not there"))
    }
}
