/// The secrets of a build: `POST /api/v1/builds/{id}/secrets`, 204. All that the client has for the build in one request, an empty one where
/// it has none; a later request takes the place of an earlier one.
///
/// In JSON an object of base 64 (RFC 4648, section 4, padded) by the secret's id.
public struct BuildSecrets: Codable, Sendable, Hashable {
    /// Bytes of one value: BuildKit's limit.
    public static let valueLimit = 500 << 10
    /// Values of one build.
    public static let countLimit = 64
    /// Bytes of the request: all values at their longest, in base 64, with their ids.
    public static let requestLimit = countLimit * (valueLimit * 4 / 3 + 1024)

    /// By id.
    public var values: [String: [UInt8]]

    public init(_ values: [String: [UInt8]]) { self.values = values }

    /// Reads the object; what is no base 64 is an error that names the id, and never the value.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        values = try container.decode([String: String].self).reduce(into: [:]) { values, entry in
            guard let bytes = Base64.decode(entry.value) else {
                throw DecodingError.dataCorruptedError(in: container, debugDescription: "secret '\(entry.key)' is no base 64")
            }
            values[entry.key] = bytes
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(values.mapValues { Base64.encode($0) })
    }
}

/// One secret, asked for right before the step that mounts it. While the client has not sent any the request waits a while; `known` is false
/// then, and the agent asks again.
public struct SecretAnswer: Codable, Sendable {
    /// True when the client has said which secrets it has.
    public var known: Bool
    /// Base 64; nil where the client has no such secret.
    public var value: String?

    /// The answer for a build whose client has said what it has.
    public init(value: [UInt8]?) {
        known = true
        self.value = value.map { Base64.encode($0) }
    }

    /// The client has not sent anything yet.
    public static let pending: SecretAnswer = {
        var answer = SecretAnswer(value: nil)
        answer.known = false
        return answer
    }()

    /// The value; nil where there is none.
    public var bytes: [UInt8]? { value.flatMap { Base64.decode($0) } }
}

/// `POST /api/v1/agent/secrets`: the value of a secret for a step that is about to run. ``SecretAnswer``.
public struct SecretQuery: Codable, Sendable {
    public var assignment: String
    public var id: String
    public init(assignment: String, id: String) {
        self.assignment = assignment
        self.id = id
    }
}
