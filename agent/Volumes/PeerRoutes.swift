import FarmAPI

/// What agents ask of each other; see `docs/formats-volumes.md`.
enum PeerRoutes {
    static let layerPrefix = "/peer/v1/layers/"
    static let changes = "/peer/v1/volumes/changes"
    static let compare = "/peer/v1/volumes/compare"
    static let fetch = "/peer/v1/volumes/fetch"
    static let grantHeader = "farm-grant"
    /// Says what a request is for: ``copyPurpose``, or nothing where a step waits for it.
    static let purposeHeader = "farm-purpose"
    /// A copy in the background.
    static let copyPurpose = "copy"
    /// The volume and the generation that a fetch or a comparison is about: ``FetchHead`` as JSON. The body is the stream of wanted files.
    static let headHeader = "farm-fetch"
    /// A question is a key and a number.
    static let questionLimit = 64 << 10
    /// What an error's text may take.
    static let errorLimit = 64 << 10
}

/// The question of ``PeerRoutes/changes``.
struct ChangesQuestion: Codable, Sendable {
    var key: VolumeKey
    /// The asker's generation, 0 for none.
    var known: Int
    /// The generation that the coordinator says is here.
    var wanted: Int
    /// The asker has a tree that it would rather compare than be told everything.
    var compares = false
}

/// What a fetch or a comparison is about.
struct FetchHead: Codable, Sendable {
    var key: VolumeKey
    var generation: Int
    /// Whether the asker knows holes in a content; nil for no.
    var holes: Bool?
}
