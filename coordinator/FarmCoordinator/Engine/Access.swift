import BuildPlan
import Digests
import FarmAPI
import Glibc

/// What the engine asks of the stored contexts. Implementations may block only on threads of their own.
public protocol ContextAccess: Sendable {
    /// True when every directory object below the root is there; file contents need not be.
    func hasTree(_ root: Digest) async throws -> Bool

    /// The content digest of a part of the tree, which enters step keys.
    ///
    /// - Parameter selection: of source ``TreeSource/context``.
    /// - Throws: an error whose text names the path when nothing is there or a pattern selects nothing.
    func contentDigest(root: Digest, selection: TreeSelection) async throws -> Digest

    /// The digests of file contents that the selections read and that are not stored, each once.
    /// - Parameter selections: of source ``TreeSource/context``.
    func missingContents(root: Digest, selections: [TreeSelection]) async throws -> [Digest]

    /// Bytes of the files that the selections read: an estimate for placement.
    func contentBytes(root: Digest, selections: [TreeSelection]) async throws -> Int64

    /// The build's steps will read these: their contents and all directories of the tree stay, whatever else is trimmed, until
    /// ``release(_:)``. Called again when it is known what they really read: in place of what was held before.
    func hold(_ selections: Set<TreeSelection>, root: Digest, for build: String)

    /// The build needs the directories of this tree too.
    func holdTree(_ root: Digest, for build: String)

    /// The build has ended.
    func release(_ build: String)
}

/// What the engine asks of the imported images.
public protocol ImageAccess: Sendable {
    /// The image by the name that a Dockerfile gives; nil when it is not imported for the platform.
    func image(named name: String, platform: Platform) async throws -> BaseImage?

    /// The layers whose archives the coordinator has. Asked once at start and after ``Coordinator/imagesChanged()``.
    func layersAtCoordinator() async throws -> Set<Digest>
}

/// Signs the grants under which agents serve each other.
public protocol GrantSigner: Sendable {
    /// The raw 32 bytes of the public Ed25519 key, hexadecimal.
    var publicKey: String { get }
    /// `base64url(JSON).base64url(signature)`
    func sign(_ grant: Grant) throws -> String
}

/// Time, from outside, so that tests can hold it.
public protocol EngineClock: Sendable {
    /// The wall clock: for what users read.
    func now() -> Timestamp
    /// Seconds that never go back: for leases and timeouts.
    func monotonic() -> Double
    /// Waits; ends early with an error when the task is cancelled.
    func sleep(seconds: Double) async throws
}

/// The machine's clocks.
public struct SystemClock: EngineClock {
    private let start = ContinuousClock.now

    /// The clocks of this process.
    public init() {}

    /// The wall clock by CLOCK_REALTIME.
    public func now() -> Timestamp {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Timestamp(seconds: Int64(time.tv_sec), nanoseconds: Int64(time.tv_nsec))
    }

    /// Seconds since this value was made.
    public func monotonic() -> Double {
        let duration = ContinuousClock.now - start
        return Double(duration.components.seconds) + Double(duration.components.attoseconds) / 1e18
    }

    /// Sleeps on the continuous clock.
    public func sleep(seconds: Double) async throws { try await Task.sleep(for: .seconds(seconds)) }
}
