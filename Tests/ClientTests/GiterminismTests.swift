import Testing

@testable import Client

@Suite struct GiterminismTests {
    @Test func `every rule of werf's file is read`() throws {
        let rules = try Giterminism(
            parsing: """
                giterminismConfigVersion: 1
                cli: {allowCustomTags: true}
                helm:
                  allowUncommittedFiles: [a]
                includes: {allowIncludesUpdate: true}
                config:
                  allowUncommitted: true
                  allowUncommittedTemplates: ["**/*.tmpl"]
                  goTemplateRendering:
                    allowEnvVariables: [CI, "/CI_[A-Z]+/"]
                    allowUncommittedFiles: [conf/*]
                  secrets:
                    allowEnvVariables: [TOKEN]
                    allowFiles: [~/key, /etc/keys]
                    allowValueIds: [id]
                  stapel:
                    allowFromLatest: true
                    git: {allowBranch: true}
                    mount:
                      allowBuildDir: true
                      allowFromPaths: [/var/cache/**]
                  dockerfile:
                    allowUncommitted: [Dockerfile]
                    allowUncommittedDockerignoreFiles: [.dockerignore]
                    allowContextAddFiles: [bin]
                """)
        #expect(rules.uncommittedConfig && rules.latestBase && rules.buildDirectories && !rules.isLoose)
        #expect(rules.uncommittedTemplates.contains("a/b.tmpl"))
        #expect(rules.uncommittedFiles.contains("conf/a") && !rules.uncommittedFiles.contains("conf"))
        #expect(rules.secretVariables == ["TOKEN"] && rules.secretValues == ["id"] && rules.secretFiles == ["~/key", "/etc/keys"])
        #expect(rules.hostPaths == ["/var/cache/**"])
        #expect(rules.uncommittedDockerfiles.contains("Dockerfile") && rules.uncommittedDockerignores.contains(".dockerignore"))
    }

    @Test(arguments: [
        ("CI", true), ("CI_JOB", true), ("CI_", false), ("XCI_JOB", false), ("CI_JOB2", false), ("HOME", false), ("R2", true),
        ("RX", false),
    ])
    func `variables are allowed by name, or by an expression for the whole name`(name: String, isAllowed: Bool) throws {
        let rules = try Giterminism(
            parsing: """
                giterminismConfigVersion: 1
                config: {goTemplateRendering: {allowEnvVariables: [CI, "/CI_[A-Z]+/", '/R\\d/']}}
                """)
        #expect(rules.templateVariables.contains { $0.allows(name) } == isAllowed)
    }

    @Test(arguments: [
        ("config: {}", "werf-giterminism.yaml:1: 'giterminismConfigVersion: 1' is missing"),
        ("giterminismConfigVersion: 2", "werf-giterminism.yaml:1: 'giterminismConfigVersion: 1' is missing"),
        (
            "giterminismConfigVersion: 1\nconfg: {}",
            "werf-giterminism.yaml:2: unknown key 'confg': expected one of giterminismConfigVersion,"
        ),
        (
            "giterminismConfigVersion: 1\nconfig:\n  stapel:\n    mount:\n      allowBuildDirs: true",
            "werf-giterminism.yaml:5: unknown key 'allowBuildDirs': expected one of allowBuildDir, allowFromPaths"
        ),
        (
            "giterminismConfigVersion: 1\nconfig:\n  stapel: {mount: {allowBuildDir: 7}}",
            "werf-giterminism.yaml:3: 'allowBuildDir': expected true or false"
        ),
        (
            "giterminismConfigVersion: 1\nconfig:\n  allowUncommittedTemplates: x",
            "werf-giterminism.yaml:3: 'allowUncommittedTemplates': expected a list"
        ),
        ("- a", "werf-giterminism.yaml:1: the file: expected a mapping"), ("a: [", "werf-giterminism.yaml:"),
        (
            "giterminismConfigVersion: 1\nconfig: {goTemplateRendering: {allowEnvVariables: ['/(/']}}",
            "werf-giterminism.yaml:2: 'allowEnvVariables': /(/ is no regular expression"
        ),
        (
            "giterminismConfigVersion: 1\nconfig: {goTemplateRendering: {allowEnvVariables: ['/(a)\\1/']}}",
            "'\\1' is not supported here"
        ),
        (
            "giterminismConfigVersion: 1\nconfig:\n  allowUncommittedTemplates: ['[a']",
            "werf-giterminism.yaml:3: 'allowUncommittedTemplates': a glob is wrong"
        ),
    ])
    func `what is wrong is named with its line`(text: String, says: String) {
        let error = #expect(throws: ClientError.self) { try Giterminism(parsing: text) }
        #expect(error?.exitCode == 1)
        #expect(error?.description.contains(says) == true, "\(error?.description ?? "")")
    }
}
