import Digests
import FarmAPI
import Glibc

/// What `farm submit` tells scripts when the build has ended: standard output, `--iidfile` and `--metadata-file`.
struct SubmitReport {
    let options: SubmitOptions
    let build: String
    /// The address of the build's page.
    let page: String
    /// The images of a werf.yaml that were asked for, in its order; empty for a Dockerfile.
    let names: [String]

    /// One image is a digest alone; several are lines with their names in front.
    func write(_ outcome: Submission.Outcome) throws {
        let images = images(of: outcome)
        guard !images.isEmpty else { return }
        let usesStandardOutput = options.outputs.contains { $0.destination == .standardOutput && $0.form != .load }
        if !usesStandardOutput { Screen.write(Self.lines(images, \.digest), to: STDOUT_FILENO) }
        if let file = options.iidFile {
            let text = images.count == 1 ? "\(images[0].image.configDigest)" : Self.lines(images, \.configDigest)
            try ResultFile.write(text, to: file, option: "--iidfile")
        }
        if let file = options.metadataFile {
            let text = String(decoding: try FarmJSON.encodePretty(metadata(images)), as: UTF8.self) + "\n"
            try ResultFile.write(text, to: file, option: "--metadata-file")
        }
    }

    /// In the order of the file.
    private func images(of outcome: Submission.Outcome) -> [(name: String, image: BuildDescription.Image)] {
        let named = names.compactMap { name in outcome.images[name].map { (name, $0) } }
        if !named.isEmpty { return named }
        return outcome.image.map { [(names.first ?? "", $0)] } ?? []
    }

    private static func lines(
        _ images: [(name: String, image: BuildDescription.Image)], _ digest: KeyPath<BuildDescription.Image, Digest>
    ) -> String {
        if images.count == 1 { return "\(images[0].image[keyPath: digest])\n" }
        return images.map { "\(WerfSubmission.shown($0.name)) \($0.image[keyPath: digest])\n" }.joined()
    }

    private func metadata(_ images: [(name: String, image: BuildDescription.Image)]) -> Metadata {
        var metadata = Metadata(build: build, page: page)
        if images.count == 1 {
            metadata.digest = images[0].image.digest
            metadata.configDigest = images[0].image.configDigest
            metadata.name = options.build.tags.isEmpty ? nil : options.build.tags.joined(separator: ",")
        } else {
            metadata.images = Dictionary(
                images.map { (WerfSubmission.shown($0.name), .init(digest: $0.image.digest, configDigest: $0.image.configDigest)) }
            ) { first, _ in first }
        }
        return metadata
    }
}

/// The keys are those of `docker buildx build`, as far as it has them.
private struct Metadata: Encodable {
    struct Image: Encodable {
        var digest: Digest
        var configDigest: Digest

        enum CodingKeys: String, CodingKey {
            case digest = "containerimage.digest"
            case configDigest = "containerimage.config.digest"
        }
    }
    var build: String
    var page: String
    var digest: Digest?
    var configDigest: Digest?
    var name: String?
    /// Several images, by name.
    var images: [String: Image]?

    enum CodingKeys: String, CodingKey {
        case build = "farm.build.ref"
        case page = "farm.build.page"
        case digest = "containerimage.digest"
        case configDigest = "containerimage.config.digest"
        case name = "image.name"
        case images = "farm.images"
    }
}
