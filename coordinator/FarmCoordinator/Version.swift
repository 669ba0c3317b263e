/// The version of the coordinator's programs.
public let farmVersion = "0.1.0"
