import Glibc

/// Runs `body` on several threads at once and returns when all have ended; one of them is the calling thread.
///
/// For work that is divided among a known number of threads for its whole life, such as a walk of a tree. Where the system has no
/// more threads, fewer run: the body must not count on the number.
/// - Parameters:
///   - count: threads; at least one runs.
///   - body: gets the thread's number, from 0.
/// - Throws: the first error of the thread with the lowest number.
public func withThreads(_ count: Int, _ body: @Sendable (Int) throws -> Void) throws {
    try withoutActuallyEscaping(body) { body in
        let crew = (1..<max(1, count)).map { CrewMember(number: $0, body: body) }
        let threads = crew.map { $0.start() }
        let own = Result { try body(0) }
        for case let thread? in threads { pthread_join(thread, nil) }
        try own.get()
        for member in crew { try member.outcome.get() }
    }
}

/// `@unchecked Sendable`: `outcome` is written by the one thread that runs the body, and read after that thread was joined.
private final class CrewMember: @unchecked Sendable {
    private let number: Int
    private let body: @Sendable (Int) throws -> Void
    private(set) var outcome: Result<Void, any Error> = .success(())

    init(number: Int, body: @escaping @Sendable (Int) throws -> Void) {
        self.number = number
        self.body = body
    }

    /// nil where the system has no more threads.
    func start() -> pthread_t? {
        var thread = pthread_t()
        // Ownership: the retained member is consumed by the new thread; if there is none, it is released here.
        let retained = Unmanaged.passRetained(self)
        let status = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                let member = Unmanaged<CrewMember>.fromOpaque(argument).takeRetainedValue()
                member.outcome = Result { try member.body(member.number) }
                return nil
            }, retained.toOpaque())
        if status != 0 { retained.release() }
        return status == 0 ? thread : nil
    }
}
