/// A mounted volume of one lease that is thrown away.
struct ScratchMount: Sendable {
    var directory: String
}
