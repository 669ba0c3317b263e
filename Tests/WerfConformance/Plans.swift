import BuildPlan
import Testing

@testable import WerfFrontend

let amd64 = Platform(os: "linux", architecture: "amd64")

/// An image with nothing in it but what a test sets.
func baseImage(_ name: String, _ change: (inout ImageConfig) -> Void = { _ in }) -> BaseImage {
    var config = ImageConfig()
    change(&config)
    return BaseImage(name: name, platform: amd64, config: config, history: [], layers: [])
}

extension WerfConfig {
    /// Plans with every base image there, empty unless given.
    func plan(
        _ names: [String] = [], bases: [BaseImage] = [], files: [String: String] = [:], _ change: (inout WerfOptions) -> Void = { _ in }
    ) throws
        -> Plan
    {
        var options = WerfOptions(images: names, platform: amd64)
        change(&options)
        var images: [String: BaseImage] = [:]
        for name in try baseImages(options: options, files: files) { images[name] = baseImage(name) }
        for image in bases { images[image.name] = image }
        return try makePlan(options: options, images: images, files: files)
    }
}

extension Plan {
    /// The stage that an image becomes.
    func stage(of image: String) throws -> Stage { stages[try #require(images.first { $0.name == image }).stage] }
}

extension Stage {
    /// `[app/install]` and so on, without the texts.
    var stepNames: [String] { steps.map { String($0.name.prefix { $0 != "]" }) + "]" } }

    /// The commands of a shell stage.
    func run(_ stage: String) throws -> RunOperation {
        for step in steps where step.name.contains("/\(stage)]") { if case .run(let run) = step.operation { return run } }
        throw Missing(what: stage)
    }

    /// The first copy.
    func copy(_ index: Int = 0) throws -> CopyOperation {
        let copies = steps.compactMap { if case .copy(let copy) = $0.operation { copy } else { nil } }
        return try #require(index < copies.count ? copies[index] : nil)
    }
}

struct Missing: Error { let what: String }

/// The plan's only image, of these directives.
func stage(_ directives: String, bases: [BaseImage] = []) throws -> Stage {
    let plan = try werf("image: app\n" + directives).plan(bases: bases)
    #expect(plan.stages.count == 1)
    return plan.stages[0]
}
