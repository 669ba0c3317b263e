import Dispatch
import Glibc

/// The signals that end a daemon.
public enum Signals {
    /// A signal that asks the process to end.
    public enum Stop: Sendable {
        /// SIGTERM: a service manager.
        case terminate
        /// SIGINT: a person at the keyboard.
        case interrupt
    }

    /// From now on SIGTERM and SIGINT come as values, and a peer that closes a socket or pipe ends nothing (SIGPIPE is ignored).
    public static func stops() -> AsyncStream<Stop> {
        signal(SIGPIPE, SIG_IGN)
        return AsyncStream { continuation in
            let sources = SignalSources(
                [(SIGTERM, Stop.terminate), (SIGINT, Stop.interrupt)].map { number, stop in
                    // Dispatch sees a signal only when its default action does not end the process before.
                    signal(number, SIG_IGN)
                    let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
                    source.setEventHandler { continuation.yield(stop) }
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
