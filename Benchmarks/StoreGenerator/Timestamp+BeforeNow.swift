import BuildPlan
import Glibc

extension Timestamp {
    /// Seconds ago.
    static func beforeNow(seconds: Int64) -> Timestamp {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        return Timestamp(seconds: Int64(now.tv_sec) - seconds)
    }
}
