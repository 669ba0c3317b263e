import BuildPlan
import FarmAPI
import Store

// What has ended goes after a while.
extension Coordinator {
    /// Nanoseconds in a second.
    private static let nano = 1e9

    /// Notes a wall clock that was moved.
    func watchClock() {
        let wall = clock.now()
        guard let moved = clockWatch.look(wall: wall, monotonic: clock.monotonic()) else { return }
        warnOfClock(moved)
    }

    func warnOfClock(_ moved: Double) {
        logger.warning(
            "the clock of this machine was moved: nothing is removed for its age for a while; put it right if it is wrong",
            metadata: ["seconds": "\(Int(moved.rounded()))", "time": "\(clock.now())", "for": "\(Int(settings.clockDistrust)) s"])
    }

    /// Begins to remove what is too old, now and then. It works beside everything else.
    func remindOfRetention() {
        let now = clock.monotonic()
        guard now - lastRetention > settings.retentionInterval else { return }
        lastRetention = now
        submissions = submissions.filter { builds[$0.value] != nil }
        // Not one that is doubted: a process that is started anew would take it for right.
        if isClockTrusted {
            outbox.append(.setClock(clock.now()))
            outbox.append(.removeBandwidths(measuredBefore: before(Self.bandwidthRetention)))
        }
        enqueue(.retain)
    }

    /// Removes what is too old, in small groups between the changes of others.
    func retain() async {
        guard !isRetaining else { return }
        isRetaining = true
        defer { isRetaining = false }
        guard isClockTrusted else {
            logger.warning(
                "nothing is removed for its age: the clock of this machine was moved lately", metadata: ["time": "\(clock.now())"])
            return
        }
        do {
            let removed = try await store.retain(
                RetentionPolicy(
                    buildsBefore: before(settings.buildRetention), logsBefore: before(settings.logRetention),
                    logBytes: settings.logLimit > 0 ? settings.logLimit : nil, recordsBefore: before(settings.recordRetention)))
            guard !removed.isEmpty else { return }
            logger.info(
                "what was too old is removed",
                metadata: [
                    "builds": "\(removed.builds)", "logs": "\(removed.logs)", "records": "\(removed.records)",
                    "selections": "\(removed.selections)",
                ])
        } catch is CancellationError {
        } catch {
            logger.warning("not all that is too old could be removed; it is tried again", metadata: ["error": "\(error)"])
        }
    }

    private var isClockTrusted: Bool { clockWatch.isTrusted(monotonic: clock.monotonic(), for: settings.clockDistrust) }

    private func before(_ seconds: Double) -> Timestamp {
        var limit = clock.now()
        limit.nanoseconds -= Int64(seconds * Self.nano)
        return limit
    }
}
