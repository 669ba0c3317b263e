import BuildPlan
import Testing

@testable import WerfFrontend

@Suite struct GitTests {
    private func mappings(_ git: String) throws -> [GitMapping] {
        let stage = try stage("from: alpine\ngit:\n" + git)
        guard case .git(let operation) = stage.steps[0].operation else { throw Missing(what: "git") }
        #expect(operation.kind == .archive)
        return operation.mappings
    }

    @Test func `A mapping takes the whole repository unless 'add' names a part`() throws {
        #expect(try mappings("- to: /app\n") == [GitMapping(path: "", destination: "/app")])
        #expect(try mappings("- {add: /, to: /app/}\n") == [GitMapping(path: "", destination: "/app")])
        #expect(try mappings("- {add: /src//a, to: /app}\n") == [GitMapping(path: "src/a", destination: "/app")])
    }

    @Test func `Owner and group are handed on, either may be missing`() throws {
        #expect(try mappings("- {to: /app, owner: www, group: 33}\n").map(\.owner) == ["www:33"])
        #expect(try mappings("- {to: /app, owner: www}\n").map(\.owner) == ["www:"])
        #expect(try mappings("- {to: /app, group: www}\n").map(\.owner) == [":www"])
        #expect(try mappings("- to: /app\n").map(\.owner) == [nil])
    }

    @Test func `Include and exclude paths are a text or a list`() throws {
        #expect(
            try mappings("- {to: /app, includePaths: src, excludePaths: ['**/*.md', docs]}\n").map(\.filter)
                == [PathFilter(includes: ["src"], excludes: ["**/*.md", "docs"])])
    }

    @Test func `gitArchive's key has the mapping's parameters and not the files`() throws {
        let operation = try stage("from: alpine\ngit: [{to: /app}]\n").steps[0].operation
        #expect(operation.inputs.isEmpty)
        #expect(operation.reads == [TreeSelection(source: .context, path: "", wildcards: false, filter: PathFilter())])
    }

    @Test func `gitLatestPatch's key has the files`() throws {
        let step = try #require(try stage("from: alpine\ngit: [{add: /src, to: /app}]\n").steps.last)
        guard case .git(let operation) = step.operation else { return #expect(Bool(false)) }
        #expect(operation.kind == .patch)
        #expect(step.operation.inputs == [TreeSelection(source: .context, path: "src", wildcards: false, filter: PathFilter())])
    }

    @Test func `install, beforeSetup and setup depend on what their masks select, and on nothing else of the repository`() throws {
        let stage = try stage(
            """
            from: alpine
            git:
            - add: /src
              to: /app
              excludePaths: docs
              stageDependencies:
                install: package.json
                setup: ['**/*.js', conf]
            - add: /etc
              to: /etc/app
              stageDependencies: {setup: '**/*'}
            shell: {beforeInstall: a, install: b, beforeSetup: c, setup: d}

            """)
        func selection(_ path: String, _ masks: [String], excludes: [String] = []) -> TreeSelection {
            TreeSelection(source: .context, path: path, wildcards: false, filter: PathFilter(excludes: excludes, dependencies: masks))
        }
        #expect(try stage.run("beforeInstall").dependencies.isEmpty)
        #expect(try stage.run("install").dependencies == [selection("src", ["package.json"], excludes: ["docs"])])
        #expect(try stage.run("beforeSetup").dependencies.isEmpty)
        #expect(
            try stage.run("setup").dependencies == [selection("src", ["**/*.js", "conf"], excludes: ["docs"]), selection("etc", ["**/*"])])
    }

    @Test func `The repository's files are brought up to date before each stage after gitArchive, and not in its key's inputs`() throws {
        let stage = try stage("from: alpine\ngit: [{to: /app}]\nshell: {beforeInstall: a, install: b, beforeSetup: c, setup: d}\n")
        #expect(try stage.run("beforeInstall").git.isEmpty)
        for name in ["install", "beforeSetup", "setup"] {
            #expect(try stage.run(name).git == [GitMapping(path: "", destination: "/app")])
            #expect(Operation.run(try stage.run(name)).inputs.isEmpty)
        }
    }

    @Test func `A mapping in another one's destination is left out of the outer one`() throws {
        let both = try mappings("- {add: /src, to: /app}\n- {add: /assets, to: /app/public/assets}\n")
        #expect(both.map(\.filter.excludes) == [["public/assets"], []])
        let parted = try mappings("- {add: /a, to: /app, includePaths: [x, z]}\n- {add: /b, to: /app, includePaths: y}\n")
        #expect(parted.map(\.filter.excludes) == [["y"], ["x", "z"]])
        let root = try mappings("- to: /\n- {add: /b, to: /etc}\n")
        #expect(root.map(\.filter.excludes) == [["etc"], []])
    }

    @Test func `What is left out already is not left out twice`() throws {
        let both = try mappings("- {add: /src, to: /app, excludePaths: [public]}\n- {add: /assets, to: /app/public/assets}\n")
        #expect(both.map(\.filter.excludes) == [["public"], []])
    }
}
