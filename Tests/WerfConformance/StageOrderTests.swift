import BuildPlan
import Testing

@testable import WerfFrontend

@Suite struct StageOrderTests {
    @Test func `The stages follow each other in werf's order, whatever the order in the file`() throws {
        let plan = try werf(
            "image: tools\nfrom: alpine\nfinal: false\n",
            """
            image: app
            from: alpine
            imageSpec: {config: {user: app}}
            shell: {setup: s, beforeSetup: bs, install: i, beforeInstall: bi}
            import:
            - {from: tools, add: /d, after: setup}
            - {from: tools, add: /c, before: setup}
            - {from: tools, add: /b, after: install}
            - {from: tools, add: /a, before: install}
            git: [{to: /app}]
            mount: [{from: tmp_dir, to: /tmp/x}]

            """
        ).plan()
        #expect(
            try plan.stage(of: "app").stepNames == [
                "[app/from]", "[app/beforeInstall]", "[app/dependenciesBeforeInstall]", "[app/gitArchive]", "[app/install]",
                "[app/dependenciesAfterInstall]", "[app/beforeSetup]", "[app/dependenciesBeforeSetup]", "[app/setup]",
                "[app/dependenciesAfterSetup]", "[app/gitLatestPatch]",
            ])
    }

    @Test func `A stage with nothing to do drops out`() throws {
        #expect(try stage("from: alpine\n").steps.isEmpty)
        #expect(try stage("from: alpine\nshell: {setup: make, cacheVersion: 1}\n").stepNames == ["[app/setup]"])
        #expect(try stage("from: alpine\nshell: {install: []}\n").steps.isEmpty)
        #expect(try stage("from: alpine\ngit: []\nmount: []\nimport: []\n").steps.isEmpty)
    }

    @Test func `Without updates the repository's files stay as the last shell stage left them`() throws {
        let names = try stage("from: alpine\ndisableGitAfterPatch: true\ngit: [{to: /app}]\nshell: {install: make}\ndocker: {USER: a}\n")
        #expect(names.stepNames == ["[app/gitArchive]", "[app/install]"])
        #expect(names.config.user == "a")
    }

    @Test func `A step's line is that of its directive in the rendered file`() throws {
        let stage = try stage("from: alpine\nmount:\n- {from: tmp_dir, to: /x}\ngit:\n- to: /app\nshell:\n  install: a\n  setup: b\n")
        #expect(stage.steps.map(\.lines) == [7...7, 9...9, 11...11, 12...12, 9...9])
    }

    @Test func `One image is one stage of the plan, and an image of the file as base is the stage below`() throws {
        let plan = try werf("image: app\nfrom: base\nshell: {setup: b}\n", "image: base\nfrom: alpine\nfinal: false\nshell: {install: a}\n")
            .plan()
        #expect(plan.stages.map(\.name) == ["base", "app"])
        #expect(plan.stages.map(\.base) == [.image("alpine"), .stage(0)])
        #expect(plan.images == [PlannedImage(name: "app", stage: 1)])
        #expect(plan.target == 1)
    }

    @Test func `The older fromImage means the same`() throws {
        let plan = try werf("image: app\nfromImage: base\n", "image: base\nfrom: alpine\n").plan(["app"])
        #expect(plan.stages.map(\.base) == [.image("alpine"), .stage(0)])
    }

    @Test func `From scratch there is nothing below`() throws {
        #expect(try stage("from: scratch\nimport: [{from: 'alpine:3', add: /bin/sh, before: setup}]\n").base == .scratch)
    }

    @Test func `Images that don't need each other are stages that don't wait for each other`() throws {
        let plan = try werf("image: [a, b]\nfrom: alpine\nshell: {install: make}\n").plan()
        #expect(plan.images.map(\.name) == ["a", "b"])
        #expect(plan.stages.allSatisfy { $0.dependencies.isEmpty })
        #expect(plan.targets == [0, 1])
    }

    @Test func `Only the named images and what they need are planned`() throws {
        let config = try werf("image: a\nfrom: base\n", "image: b\nfrom: alpine\n", "image: base\nfrom: debian\nfinal: false\n")
        #expect(try config.plan(["a"]).stages.map(\.name) == ["base", "a"])
        #expect(try config.baseImages(options: WerfOptions(images: ["b"], platform: amd64), files: [:]) == ["alpine"])
        #expect(try config.plan().images.map(\.name) == ["a", "b"])
        #expect(try config.plan(["base"]).images.map(\.name) == ["base"])
    }

    @Test func `An image without a name is planned under none`() throws {
        let plan = try werf("image: ~\nfrom: alpine\nshell: {install: make}\n").plan()
        #expect(plan.images == [PlannedImage(name: "", stage: 0)])
        #expect(plan.stages[0].stepNames == ["[~/install]"])
    }

    @Test func `A base image that is not there is an error with its line`() throws {
        let config = try werf("image: a\nfrom: alpine\n")
        let error = #expect(throws: WerfError.self) { try config.makePlan(options: WerfOptions(platform: amd64), images: [:], files: [:]) }
        #expect(error?.description == "werf.yaml:5: image: base image 'alpine' was not found")
    }

    @Test func `An image for another platform than the build's is refused`() throws {
        let config = try werf("image: a\nfrom: alpine\nplatform: [linux/arm64]\n")
        let error = #expect(throws: WerfError.self) { try config.plan() }
        #expect(error?.message.contains("expected --platform linux/arm64") == true)
    }
}
