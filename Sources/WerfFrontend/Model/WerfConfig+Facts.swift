import BuildPlan

/// Something that makes a build depend on more than the commit: by giterminism's rules a project allows it or it is an error.
public struct WerfPermission: Hashable, Sendable {
    /// What has to be allowed.
    public enum Kind: Hashable, Sendable {
        /// `mount` with `from: build_dir`.
        case buildDirectory
        /// `mount` with `fromPath`; as it is in the file, cleaned.
        case hostPath(String)
        /// `fromLatest: true`.
        case latestBase
        /// A secret's variable.
        case secretVariable(String)
        /// A secret's file, as it is written.
        case secretFile(String)
        /// A secret whose value stands in the file, by its id.
        case secretValue(String)
    }

    public let kind: Kind
    /// The image's name; empty for `image: ~`.
    public let image: String
    /// In the rendered file.
    public let line: Int
}

/// A file of the repository that planning reads.
public struct WerfFile: Hashable, Sendable {
    /// Relative to the repository's root.
    public let path: String
    /// False for a .dockerignore: it may be missing.
    public let isRequired: Bool
    /// The image that names it, and the line in the rendered file.
    public let image: String
    public let line: Int
}

/// What a client has to know before it submits. None of it needs the base images.
extension WerfConfig {
    /// What these images and all that they need want allowed, in the order of the images, lines ascending.
    ///
    /// - Parameter names: `--image`; empty for all final images.
    public func permissions(of names: [String] = []) throws(WerfError) -> [WerfPermission] {
        var found: [WerfPermission] = []
        for image in closure(of: try selected(names)) {
            var own: [WerfPermission] = []
            if case .stapel(let stapel) = image.body {
                for mount in stapel.mounts {
                    switch mount.kind {
                    case .temporary: break
                    case .build: own.append(WerfPermission(kind: .buildDirectory, image: image.name, line: mount.line))
                    case .host(let path): own.append(WerfPermission(kind: .hostPath(path), image: image.name, line: mount.line))
                    }
                }
                if stapel.fromLatest { own.append(WerfPermission(kind: .latestBase, image: image.name, line: stapel.base.line)) }
            }
            for secret in image.secrets {
                let kind: WerfPermission.Kind =
                    switch secret.source {
                    case .variable(let name): .secretVariable(name)
                    case .file(let path): .secretFile(path)
                    case .value: .secretValue(secret.id)
                    }
                own.append(WerfPermission(kind: kind, image: image.name, line: secret.line))
            }
            found += own.sorted { $0.line < $1.line }
        }
        return found
    }

    /// The secrets that these images and all that they need see. The client sends each under its ``WerfSecret/qualifiedID``.
    ///
    /// - Parameter names: `--image`; empty for all final images.
    public func secrets(of names: [String] = []) throws(WerfError) -> [WerfSecret] {
        closure(of: try selected(names)).flatMap(\.secrets)
    }

    /// The files that ``makePlan(_:images:files:)`` reads: Dockerfiles, and for each the two .dockerignore files that count for it.
    ///
    /// - Parameter names: `--image`; empty for all final images.
    public func files(of names: [String] = []) throws(WerfError) -> [WerfFile] {
        var files: [WerfFile] = []
        for image in closure(of: try selected(names)) {
            guard case .dockerfile(let dockerfile) = image.body else { continue }
            for (path, isRequired) in [(dockerfile.dockerfile, true)] + dockerfile.ignoreFiles.map({ ($0, false) })
            where !files.contains(where: { $0.path == path }) {
                files.append(WerfFile(path: path, isRequired: isRequired, image: image.name, line: dockerfile.dockerfileLine))
            }
        }
        return files
    }

    /// The platform that these images ask for; nil where none does.
    ///
    /// - Parameter names: `--image`; empty for all final images.
    /// - Throws: where two of them ask for different ones.
    public func platform(of names: [String] = []) throws(WerfError) -> Platform? {
        var found: Platform?
        for image in closure(of: try selected(names)) {
            guard let platform = (image.platforms.first ?? platforms.first).flatMap({ Platform($0) }) else { continue }
            if let found, found != platform {
                throw WerfError(
                    file: file, line: image.line,
                    message: "image '\(image.shownName)' is for \(platform), another one for \(found): several platforms are not built yet")
            }
            found = platform
        }
        return found
    }
}

extension WerfImage {
    /// What its steps see.
    var secrets: [WerfSecret] {
        switch body {
        case .stapel(let image): image.secrets
        case .dockerfile(let image): image.secrets
        }
    }

    var platforms: [String] {
        switch body {
        case .stapel(let image): image.platforms
        case .dockerfile(let image): image.platforms
        }
    }
}

extension DockerfileImage {
    /// The first that is there counts: the one beside the Dockerfile, then the context's own.
    var ignoreFiles: [String] { [dockerfile + ".dockerignore", CleanPath.relativeToRoot(context + "/.dockerignore")] }
}
