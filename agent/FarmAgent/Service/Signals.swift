import Dispatch
import Glibc

/// The signals that end the agent.
public enum Signals {
    /// From now on SIGTERM and SIGINT come as values (their numbers), and a peer that closes a socket or pipe ends nothing.
    public static func stops() -> AsyncStream<Int32> {
        signal(SIGPIPE, SIG_IGN)
        return AsyncStream { continuation in
            let sources = SignalSources(
                [SIGTERM, SIGINT].map { number in
                    // Dispatch sees a signal only when its default action does not end the process before.
                    signal(number, SIG_IGN)
                    let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
                    source.setEventHandler { continuation.yield(number) }
                    source.resume()
                    return source
                })
            continuation.onTermination = { _ in sources.cancel() }
        }
    }
}

/// `@unchecked Sendable`: the sources are only cancelled after they are made, and cancelling is safe from any thread.
private final class SignalSources: @unchecked Sendable {
    private let sources: [any DispatchSourceSignal]

    init(_ sources: [any DispatchSourceSignal]) { self.sources = sources }

    func cancel() { for source in sources { source.cancel() } }
}
