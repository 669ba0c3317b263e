import WerfFrontend

/// What the client has to know of a rendered werf.yaml.
struct WerfFacts: Sendable {
    /// For messages about its lines.
    let file: String
    let project: String
    /// The images that the user gets.
    let images: [WerfImage]
    /// Of these images and all that they need.
    let permissions: [WerfPermission]
    let files: [WerfFile]
    let secrets: [WerfSecret]

    /// Reads the rendered file. Throws ``ClientError`` with the line of what is wrong.
    init(_ rendering: WerfRendering, images names: [String]) throws(ClientError) {
        file = rendering.nameForLines
        do throws(WerfError) {
            let config = try WerfConfig(parsing: rendering.text, name: file)
            project = config.project
            images = try config.selected(names)
            permissions = try config.permissions(of: names)
            files = try config.files(of: names)
            secrets = try config.secrets(of: names)
        } catch {
            throw .failed("\(error)")
        }
    }
}

extension SecretOption {
    /// A secret of a werf.yaml, under the name by which the build knows it.
    init(_ secret: WerfSecret) {
        let source: Source =
            switch secret.source {
            case .variable(let name): .variable(name)
            case .file(let path): .file(path)
            case .value(let text): .value(text)
            }
        self.init(id: secret.qualifiedID, source: source)
    }
}
