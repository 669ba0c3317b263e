/// The release; the same for all programs of one build.
public let farmVersion = "0.1.0"
