/// The stages of a Stapel image, in the order in which they follow each other; those without anything to do drop out.
enum WerfStage: String, Hashable, Sendable, CaseIterable {
    case from, beforeInstall, dependenciesBeforeInstall, gitArchive, install, dependenciesAfterInstall, beforeSetup
    case dependenciesBeforeSetup, setup, dependenciesAfterSetup, gitCache, gitLatestPatch, dockerInstructions, imageSpec

    /// Those with commands of the user.
    static let shell: [WerfStage] = [.beforeInstall, .install, .beforeSetup, .setup]

    /// Its number in the order.
    var position: Int { Self.allCases.firstIndex(of: self) ?? 0 }
}
