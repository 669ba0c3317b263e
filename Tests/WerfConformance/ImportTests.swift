import BuildPlan
import Testing

@testable import WerfFrontend

@Suite struct ImportTests {
    private let builder = "image: builder\nfrom: alpine\nfinal: false\nshell: {install: make, setup: strip}\n"

    private func copy(_ directives: String) throws -> CopyOperation {
        let plan = try werf("image: app\nfrom: debian\nimport:\n" + directives, builder).plan()
        return try plan.stage(of: "app").copy()
    }

    @Test func `An import copies from the image's last stage, by default to the same path`() throws {
        let copy = try copy("- {from: builder, add: /out/bin, after: install}\n")
        #expect(copy.from == .stage(0))
        #expect(copy.sources == [.tree("out/bin")])
        #expect(copy.destination == "/out/bin")
        #expect(copy.filter == nil)
        #expect(copy.owner == nil)
    }

    @Test func `The older 'image' means the same as 'from'`() throws {
        #expect(try copy("- {image: builder, add: /out, after: install}\n").from == .stage(0))
    }

    @Test func `'to' says where to, and a slash at its end says that it is a directory`() throws {
        #expect(try copy("- {from: builder, add: /out, to: /srv//x, after: install}\n").destination == "/srv/x")
        #expect(try copy("- {from: builder, add: /out/x, to: /usr/local/bin/, after: install}\n").destination == "/usr/local/bin/")
    }

    @Test func `Include and exclude paths select below 'add'`() throws {
        let copy = try copy("- {from: builder, add: /out, to: /x, after: install, includePaths: ['*.js'], excludePaths: [test]}\n")
        #expect(copy.filter == PathFilter(includes: ["*.js"], excludes: ["test"]))
        #expect(Operation.copy(copy).inputs.map(\.wildcards) == [false])
    }

    @Test func `'add' is a path and never a pattern`() throws {
        #expect(try copy("- {from: builder, add: '/out/[a]*', after: install}\n").sources == [.tree("out/\\[a\\]\\*")])
    }

    @Test func `Owner and group are set, either alone too`() throws {
        #expect(try copy("- {from: builder, add: /a, after: install, owner: 1000, group: app}\n").owner == "1000:app")
        #expect(try copy("- {from: builder, add: /a, after: install, owner: app}\n").owner == "app")
        #expect(try copy("- {from: builder, add: /a, after: install, group: app}\n").owner == ":app")
    }

    @Test(arguments: [
        ("before: install", "dependenciesBeforeInstall"), ("after: install", "dependenciesAfterInstall"),
        ("before: setup", "dependenciesBeforeSetup"), ("after: setup", "dependenciesAfterSetup"),
    ])
    func `An import happens where it says`(_ place: String, _ stage: String) throws {
        let plan = try werf("image: app\nfrom: debian\nimport: [{from: builder, add: /a, \(place)}]\n", builder).plan()
        #expect(try plan.stage(of: "app").stepNames == ["[app/\(stage)]"])
    }

    @Test func `Several imports of one place are made in the order of the file`() throws {
        let plan = try werf(
            "image: app\nfrom: debian\nimport:\n- {from: builder, add: /b, after: install}\n- {from: builder, add: /a, after: install}\n",
            builder
        ).plan()
        #expect(try plan.stage(of: "app").steps.count == 2)
        #expect(try plan.stage(of: "app").copy(1).sources == [.tree("a")])
    }

    @Test func `What has a tag or a digest and is not of the file is an external image`() throws {
        let config = try werf("image: app\nfrom: debian\nimport: [{from: 'golang:1.22', add: /usr/local/go, before: install}]\n")
        #expect(try config.baseImages(options: WerfOptions(platform: amd64), files: [:]) == ["debian", "golang:1.22"])
        #expect(try config.plan().stage(of: "app").copy().from == .image("golang:1.22"))
    }

    @Test func `An import from an inner stage parts the image there`() throws {
        let plan = try werf("image: app\nfrom: debian\nimport: [{from: builder, stage: install, add: /a, after: install}]\n", builder)
            .plan(["app", "builder"])
        #expect(plan.stages.map(\.name) == ["builder/install", "builder", "app"])
        #expect(plan.stages.map(\.stepNames) == [["[builder/install]"], ["[builder/setup]"], ["[app/dependenciesAfterInstall]"]])
        #expect(plan.stages[1].base == .stage(0))
        #expect(try plan.stage(of: "app").copy().from == .stage(0))
        #expect(plan.images.map(\.stage) == [1, 2].reversed())
        #expect(plan.stages[1].history.count == 2)
    }

    @Test func `An import from an inner stage does not wait for the stages after it`() throws {
        let plan = try werf("image: app\nfrom: debian\nimport: [{from: builder, stage: install, add: /a, after: install}]\n", builder).plan(
            ["app"])
        #expect(try plan.stage(of: "app").dependencies == [0])
    }

    @Test func `An import from the last stage by its name parts nothing`() throws {
        let plan = try werf("image: app\nfrom: debian\nimport: [{from: builder, stage: setup, add: /a, after: install}]\n", builder).plan([
            "app"
        ])
        #expect(plan.stages.map(\.name) == ["builder", "app"])
    }

    @Test func `A stage that dropped out can't be imported from`() throws {
        let config = try werf(
            "image: app\nfrom: debian\nimport:\n- {from: builder, stage: beforeSetup, add: /a, after: install}\n", builder)
        let error = #expect(throws: WerfError.self) { try config.plan() }
        #expect(error?.description == "werf.yaml:7: import: image 'builder' has no stage 'beforeSetup': it has from, install, setup")
    }

    @Test func `A mapping leaves out what an import puts into it`() throws {
        let stage = try stage(
            "from: debian\ngit: [{to: /app}]\nimport: [{from: 'x:1', add: /node_modules, to: /app/node_modules, before: setup}]\n",
            bases: [])
        guard case .git(let git) = stage.steps[0].operation else { return #expect(Bool(false)) }
        #expect(git.mappings[0].filter.excludes == ["node_modules"])
    }
}

@Suite struct DependencyTests {
    private func plan(_ directives: String) throws -> Plan {
        try werf("image: app\nfrom: debian\ndependencies:\n" + directives, "image: backend\nfrom: alpine\nshell: {install: make}\n").plan([
            "app"
        ])
    }

    @Test func `A variable holds another image's digest or id, in the image and in the stages after that place`() throws {
        let plan = try plan(
            """
            - from: backend
              before: setup
              imports: [{type: ImageDigest, targetEnv: DIGEST}, {type: ImageID, targetEnv: ID}]
            shell: {install: a, setup: b}

            """)
        let stage = try plan.stage(of: "app")
        let references = [
            StageReference(variable: "DIGEST", stage: 0, kind: .imageDigest), StageReference(variable: "ID", stage: 0, kind: .imageID),
        ]
        #expect(stage.references == references)
        #expect(try stage.run("install").references.isEmpty)
        #expect(try stage.run("setup").references == references)
        #expect(stage.dependencies == [0])
    }

    @Test func `An image upon it has the variables too`() throws {
        let plan = try werf(
            "image: app\nfrom: debian\ndependencies: [{image: backend, after: setup, imports: [{type: ImageID, targetEnv: ID}]}]\n",
            "image: backend\nfrom: alpine\n", "image: top\nfrom: app\nshell: {setup: x}\n"
        ).plan(["top"])
        #expect(try plan.stage(of: "top").run("setup").references == [StageReference(variable: "ID", stage: 0, kind: .imageID)])
        #expect(try plan.stage(of: "top").references.count == 1)
    }

    @Test(arguments: ["ImageName", "ImageRepo", "ImageTag"])
    func `What only a registry could tell is refused by its name`(_ type: String) {
        let message = error(
            "project: a\nconfigVersion: 1\n---\nimage: app\nfrom: a\ndependencies:\n- {from: b, before: setup, imports: [{type: \(type), targetEnv: A}]}\n---\nimage: b\nfrom: a\n"
        )
        #expect(message.hasPrefix("werf.yaml:7: dependencies.imports: 'type: \(type)' is not supported"))
    }

    @Test(arguments: [
        ("{from: b, before: setup}", "without 'imports' is not built yet"), ("{before: setup, imports: []}", "'from' is required"),
        ("{from: b, imports: [{type: ImageID, targetEnv: A}]}", "expected before: install"),
        ("{from: b, before: setup, imports: [{type: ImageID}]}", "'targetEnv' is required"),
        ("{from: b, before: setup, imports: [{type: ImageID, targetBuildArg: A}]}", "belongs to Dockerfiles"),
        ("{from: b, before: setup, imports: [{type: ImageId, targetEnv: A}]}", "expected ImageDigest or ImageID"),
        ("{from: b, before: setup, imports: [{type: ImageID, targetEnv: A}, {type: ImageDigest, targetEnv: A}]}", "'A' is given twice"),
    ])
    func `A dependency names an image, a place and what is to be known`(_ dependency: String, _ part: String) {
        let message = error(
            "project: a\nconfigVersion: 1\n---\nimage: app\nfrom: a\ndependencies:\n- \(dependency)\n---\nimage: b\nfrom: a\n")
        #expect(message.hasPrefix("werf.yaml:7: ") && message.contains(part), "\(message)")
    }
}
