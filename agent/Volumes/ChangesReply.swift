import BlockingIO
import TreeSync

/// What this agent answers to "what changed since generation k?".
enum ChangesReply: Sendable {
    case told(ChangesAnswer)
    /// Everything, from the layers' manifests: nobody has it in memory.
    case whole(generation: Int, [ManifestTable])

    /// Writes it as a ``ChangesAnswer``.
    func write(to sink: any ByteSink) throws {
        switch self {
        case .told(let answer): try answer.write(to: sink)
        case .whole(let generation, let tables): try ChangesAnswer.write(whole: generation, of: tables, to: sink)
        }
    }
}
