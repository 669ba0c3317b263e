/// All directives that werf.yaml has. The parser refuses what is not here, and the documentation's table is made of this.
public enum Directives {
    /// Every group, in the order of the documentation.
    public static let groups: [DirectiveGroup] = [
        meta, build, globalImageSpec, globalImageConfig, stapel, mount, git, stageDependencies, shell, imports, dependencies,
        dependencyImports, secrets, docker, imageSpec, imageConfig, healthcheck, dockerfile,
    ]

    static let meta = DirectiveGroup(
        "meta",
        [
            Directive("configVersion", "1"),
            Directive("project", "whose volumes the images see; `--project` counts before it"),
            Directive("build"),
            Directive("deploy", ignored: "deploying is not a farm's task"),
            Directive("cleanup", ignored: "a farm collects what is not used by itself"),
            Directive("gitWorktree", ignored: "the history is not read, only the commit's tree"),
        ])

    static let build = DirectiveGroup(
        "build",
        [
            Directive("cacheVersion", "of all images that have none themselves"),
            Directive("platform", "one, that of the build"),
            Directive("staged", ignored: "every instruction of a Dockerfile is a layer with a record anyway"),
            Directive("imageSpec", "of all final images"),
        ])

    static let globalImageSpec = DirectiveGroup(
        "build.imageSpec", [Directive("author"), Directive("clearHistory"), Directive("config")])

    static let globalImageConfig = DirectiveGroup(
        "build.imageSpec.config",
        [
            Directive("labels", "`%image%` and `%project%` stand for the names"),
            Directive("removeLabels", "exact names; `/regular expressions/` are refused"),
            Directive("keepEssentialWerfLabels", ignored: "images of a farm have none of these labels"),
            Directive("clearWerfLabels", ignored: "images of a farm have none of these labels"),
            Directive("removeWerfLabels", ignored: "images of a farm have none of these labels"),
        ])

    static let stapel = DirectiveGroup(
        "image",
        [
            Directive("image", "a name, a list of names, or `~`"),
            Directive("from", "an image of the file, an external one, or `scratch`"),
            Directive("fromImage", "an image of the file: the older form of `from`"),
            Directive("fromLatest", "a base image is looked up for each build in any case"),
            Directive("fromCacheVersion"),
            Directive("cacheVersion"),
            Directive("final", "`false`: not exported"),
            Directive("platform", "one, that of the build"),
            Directive("network", "`default`, `host`, `none`"),
            Directive("disableGitAfterPatch"),
            Directive("git"), Directive("shell"), Directive("mount"), Directive("import"), Directive("dependencies"),
            Directive("secrets", "files `/run/secrets/<id>` in every shell stage"),
            Directive("docker", "not together with `imageSpec`"),
            Directive("imageSpec"),
            Directive("ansible", refused: "is not supported: write the tasks as shell commands"),
            Directive("artifact", refused: "is not supported: write image: NAME with final: false"),
            Directive("fromArtifact", refused: "is not supported: write from: NAME"),
            Directive("asLayers", refused: "is not supported: every stage is a layer with a record anyway"),
            Directive("sbom", refused: "is not built yet"),
        ])

    static let mount = DirectiveGroup(
        "mount",
        [
            Directive("to", "absolute, each once in an image"),
            Directive("from", "`tmp_dir` or `build_dir`"),
            Directive("fromPath", "an absolute path of the agent, that its operator allows"),
        ])

    static let git = DirectiveGroup(
        "git",
        [
            Directive("add", "absolute from the repository's root; `/` when it is not there"),
            Directive("to", "absolute"),
            Directive("owner"), Directive("group"), Directive("includePaths"), Directive("excludePaths"),
            Directive("stageDependencies"),
            Directive(
                "url", refused: "is not built yet: remote repositories; add what is needed to this repository, as a submodule or a copy"),
            Directive("branch", refused: "is not built yet: it belongs to remote repositories"),
            Directive("tag", refused: "is not built yet: it belongs to remote repositories"),
            Directive("commit", refused: "is not built yet: it belongs to remote repositories"),
            Directive("basicAuth", refused: "is not built yet: it belongs to remote repositories"),
            Directive("as", refused: "is not supported: nothing can name a mapping"),
        ])

    static let stageDependencies = DirectiveGroup(
        "git.stageDependencies", [Directive("install"), Directive("beforeSetup"), Directive("setup")])

    static let shell = DirectiveGroup(
        "shell",
        [
            Directive("beforeInstall", "a command or a list of commands"), Directive("install"), Directive("beforeSetup"),
            Directive("setup"), Directive("cacheVersion"), Directive("beforeInstallCacheVersion"), Directive("installCacheVersion"),
            Directive("beforeSetupCacheVersion"), Directive("setupCacheVersion"),
        ])

    static let imports = DirectiveGroup(
        "import",
        [
            Directive("from", "an image of the file, or an external one with its tag or digest"),
            Directive("image", "the older form of `from`"),
            Directive("stage", "a stage of that image; its last one otherwise"),
            Directive("add", "absolute"),
            Directive("to", "absolute; `add` when it is not there"),
            Directive("before", "`install` or `setup`"),
            Directive("after", "`install` or `setup`"),
            Directive("owner"), Directive("group"), Directive("includePaths"), Directive("excludePaths"),
            Directive("artifact", refused: "is not supported: write from: NAME"),
        ])

    static let dependencies = DirectiveGroup(
        "dependencies",
        [
            Directive("from", "an image of the file"),
            Directive("image", "the older form of `from`"),
            Directive("before", "`install` or `setup`; not for Dockerfiles"),
            Directive("after", "`install` or `setup`; not for Dockerfiles"),
            Directive("imports", "at least one"),
        ])

    static let dependencyImports = DirectiveGroup(
        "dependencies.imports",
        [
            Directive(
                "type",
                "`ImageDigest`, `ImageID`; for a Dockerfile `ImageName`. `ImageRepo` and `ImageTag`, and `ImageName` elsewhere, are refused: an image "
                    + "has no name in a registry while it is built"),
            Directive("targetEnv", "not for Dockerfiles"),
            Directive("targetBuildArg", "for Dockerfiles, where the argument names a base or a source of COPY"),
        ])

    static let secrets = DirectiveGroup(
        "secrets",
        [
            Directive("id", "the variable's or file's name when it is not there"),
            Directive("env", "a variable of whoever submits"),
            Directive("src", "a file of whoever submits"),
            Directive("value"),
        ])

    static let docker = DirectiveGroup(
        "docker",
        [
            Directive("VOLUME"), Directive("EXPOSE"), Directive("ENV"), Directive("LABEL"),
            Directive("CMD", "takes away the base's ENTRYPOINT"), Directive("ENTRYPOINT", "takes away the base's CMD"),
            Directive("WORKDIR"), Directive("USER"), Directive("HEALTHCHECK", "as in a Dockerfile"),
            Directive("exactValues", ignored: "values are taken as they are"),
            Directive("ONBUILD", refused: "is not supported"),
            Directive("STOPSIGNAL", refused: "is not supported: use imageSpec.config.stopSignal"),
        ])

    static let imageSpec = DirectiveGroup("imageSpec", [Directive("author"), Directive("clearHistory"), Directive("config")])

    static let imageConfig = DirectiveGroup(
        "imageSpec.config",
        [
            Directive("cmd"), Directive("entrypoint", "takes away the base's cmd"), Directive("env", "`$NAME` and `${NAME}` expand"),
            Directive("expose"), Directive("healthcheck"), Directive("labels", "`%image%` and `%project%` stand for the names"),
            Directive("stopSignal"), Directive("user"), Directive("volumes"), Directive("workingDir"),
            Directive("removeEnv", "exact names; `/regular expressions/` are refused"),
            Directive("removeLabels", "exact names; `/regular expressions/` are refused"), Directive("removeVolumes"),
            Directive("clearCmd"), Directive("clearEntrypoint"), Directive("clearUser"), Directive("clearWorkingDir"),
            Directive("keepEssentialWerfLabels", ignored: "images of a farm have none of these labels"),
            Directive("clearWerfLabels", ignored: "images of a farm have none of these labels"),
            Directive("removeWerfLabels", ignored: "images of a farm have none of these labels"),
        ])

    static let healthcheck = DirectiveGroup(
        "imageSpec.config.healthcheck",
        [
            Directive("test"), Directive("interval", "seconds"), Directive("timeout", "seconds"), Directive("startPeriod", "seconds"),
            Directive("retries"),
        ])

    static let dockerfile = DirectiveGroup(
        "image",
        [
            Directive("image", "a name or a list of names"),
            Directive("dockerfile", "relative to the context"),
            Directive("context", "a folder of the repository; its root when it is not there"),
            Directive("target"), Directive("args"),
            Directive("addHost", "`name:address`"),
            Directive("network", "`default`, `host`, `none`"),
            Directive("cacheVersion"), Directive("final", "`false`: not exported"),
            Directive("platform", "one, that of the build"),
            Directive("secrets", "by their id in `RUN --mount=type=secret`"),
            Directive("dependencies"), Directive("imageSpec"),
            Directive("staged", ignored: "every instruction is a layer with a record anyway"),
            Directive("contextAddFile", refused: "is not built yet: files that are not in the repository"),
            Directive("contextAddFiles", refused: "is not built yet: files that are not in the repository"),
            Directive("ssh", refused: "is not built yet"),
            Directive("sbom", refused: "is not built yet"),
        ])
}
