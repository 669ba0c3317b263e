import BuildPlan

/// A rendered werf.yaml that was read: its form is right, its images know each other. Base images are not known yet.
public struct WerfConfig: Hashable, Sendable {
    /// More are refused: a plan's order is found by comparing images with each other.
    public static let maximumImages = 500

    /// The file's name as it was given, for messages.
    public let file: String
    /// `project`: whose volumes the images see.
    public let project: String
    /// In the order of the file.
    public let images: [WerfImage]
    /// `build.cacheVersion`.
    let cacheVersion: String?
    /// `build.platform`.
    let platforms: [String]

    /// Reads the documents of a file, in time proportional to its length with all aliases resolved.
    ///
    /// - Parameters:
    ///   - text: after the template has been executed.
    ///   - name: the file's name for messages.
    /// - Throws: the first error, with its line.
    public init(parsing text: String, name: String) throws(WerfError) {
        var reader = YAMLReader(file: name)
        var parser = ConfigParser(file: name)
        for document in try reader.documents(text) { try parser.read(document) }
        self = try parser.config()
    }

    init(file: String, project: String, images: [WerfImage], cacheVersion: String?, platforms: [String]) {
        self.file = file
        self.project = project
        self.images = images
        self.cacheVersion = cacheVersion
        self.platforms = platforms
    }

    /// The image of a name; nil where the file has none.
    public subscript(name: String) -> WerfImage? { images.first { $0.name == name } }

    /// The images that a build makes results of, in the order of the file.
    ///
    /// - Parameter names: `--image`, where final and other images may be named; empty for all final ones.
    public func selected(_ names: [String]) throws(WerfError) -> [WerfImage] {
        for name in names where self[name] == nil {
            let nearest = Nearest.word(to: name, among: images.map(\.name)).map { " (did you mean \($0)?)" } ?? ""
            let known = images.prefix(Self.shownNames).map(\.shownName).joined(separator: ", ")
            let more = images.count > Self.shownNames ? ", …" : ""
            throw WerfError(file: file, line: nil, message: "there is no image '\(name)'\(nearest): the file has \(known)\(more)")
        }
        let selected = names.isEmpty ? images.filter(\.isFinal) : images.filter { names.contains($0.name) }
        guard !selected.isEmpty else {
            throw WerfError(
                file: file, line: nil,
                message: images.isEmpty
                    ? "the file has no image: expected image: NAME in a document of its own" : "no image of the file is final")
        }
        return selected
    }

    /// As many names as a message lists.
    private static let shownNames = 20
}
