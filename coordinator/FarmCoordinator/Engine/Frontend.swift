import BuildPlan
import FarmAPI

/// Makes plans of what users submit. Pure.
public protocol Frontend: Sendable {
    /// The names of all images that the plan may stand on or read.
    /// - Throws: ``BuildFailure`` as ``PlanningError``.
    func baseImages(of request: SubmitRequest, platform: Platform) throws -> [String]

    /// - Parameter images: those of ``baseImages(of:platform:)`` that are there.
    /// - Throws: ``PlanningError``
    func plan(of request: SubmitRequest, platform: Platform, images: [String: BaseImage]) throws -> Plan
}

/// Why there is no plan: the user's mistake, with its place.
public struct PlanningError: Error, Sendable, CustomStringConvertible {
    public var failure: BuildFailure
    public var description: String { failure.message }

    /// Takes what the user is told.
    public init(_ failure: BuildFailure) { self.failure = failure }
}
