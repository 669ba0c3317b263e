import Glibc
import Testing

@testable import Client

/// What a project's templates see.
extension WerfSourceTests {
    @Test func `--loose builds the work tree as it is, also without a repository`() throws {
        let repository = try project(["werf.yaml": Self.config])
        defer { repository.remove() }
        try repository.write(Self.config.replacing("shop", with: "changed") + "fromCacheVersion: {{ env \"V\" }}\n", to: "werf.yaml")
        try repository.write("1", to: "untracked")
        var source = try source(repository, environment: ["V": "7"]) { $0.loose = true }
        #expect(source.project == "changed")
        #expect(source.context == repository.folder)
        #expect(source.warnings.isEmpty)
        #expect(source.text.hasSuffix("fromCacheVersion: 7\n"))
        #expect(source.ignore.decision(path: ".git", isDirectory: true) == .exclude)
        try repository.write(Self.config, to: "../plain/werf.yaml")
        source = try self.source(repository, in: "../plain") { $0.loose = true }
        #expect(source.project == "shop")
    }

    @Test func `templates see the commit's files, allowed variables and the environment's name`() throws {
        let repository = try project([
            "werf.yaml": Self.config
                + """
                docker:
                  LABEL:
                    include: {{ include "parts/name.tmpl" . }}
                    file: {{ .Files.Get "version" }}
                    env: {{ .Env }}-{{ env "CI_JOB" }}
                    commit: {{ .Commit.Hash }}

                """,
            ".werf/parts/name.tmpl": "from-a-part", "version": "1.2",
            "werf-giterminism.yaml": "giterminismConfigVersion: 1\nconfig: {goTemplateRendering: {allowEnvVariables: [/CI_.*/]}}\n",
        ])
        defer { repository.remove() }
        try repository.write("2.0", to: "version")
        let source = try source(repository, environment: ["CI_JOB": "9", "WERF_ENV": "stage"])
        for line in ["include: from-a-part", "file: 1.2", "env: stage-9", "commit: \(try repository.git("rev-parse", "HEAD").dropLast())"] {
            #expect(source.text.contains("    \(line)\n"), "\(source.text)")
        }
        #expect(try self.source(repository, environment: ["CI_JOB": "9"]) { $0.environmentName = "prod" }.text.contains("env: prod-9"))
    }

    @Test func `allowed files are read from the work tree`() throws {
        let repository = try project([
            "werf.yaml": Self.config + "fromCacheVersion: {{ .Files.Get \"conf/a\" }}{{ .Files.Get \"b\" }}\n", "conf/a": "1", "b": "1",
            "werf-giterminism.yaml":
                "giterminismConfigVersion: 1\nconfig: {goTemplateRendering: {allowUncommittedFiles: [conf/*]}}\n",
        ])
        defer { repository.remove() }
        try repository.write("2", to: "conf/a")
        try repository.write("2", to: "b")
        #expect(try source(repository).text.hasSuffix("fromCacheVersion: 21\n"))
    }

    @Test func `a variable that is not allowed is an error with its place`() throws {
        let repository = try project(["werf.yaml": Self.config + "fromCacheVersion: {{ env \"HOME\" }}\n"])
        defer { repository.remove() }
        let error = failure(repository)
        #expect(error?.description.hasPrefix("werf.yaml:6:") == true, "\(error?.description ?? "")")
        #expect(
            error?.description.contains("HOME is not allowed by giterminism: list it in config.goTemplateRendering.allowEnvVariables")
                == true)
        #expect(error?.exitCode == 1)
    }

    @Test func `a link out of the project is not followed`() throws {
        let repository = try project(["werf.yaml": Self.config + "fromCacheVersion: {{ .Files.Get \"link\" }}\n"])
        defer { repository.remove() }
        symlink("/etc/hostname", "\(repository.folder)/link")
        try repository.commit()
        #expect(failure(repository)?.description.contains("link is a link that leads out of the project") == true)
    }

    @Test func `lines that a template moved are said to be those of the rendered file`() throws {
        let repository = try project(["werf.yaml": "{{- $x := 1 }}\n{{- $y := 2 }}\n" + Self.config + "unknown: 1\n"])
        defer { repository.remove() }
        let error = failure(repository)
        #expect(error?.description.hasPrefix("werf.yaml (rendered):7: ") == true, "\(error?.description ?? "")")
    }
}
