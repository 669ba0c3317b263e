import Glibc

/// A line of output that says when it was printed: agents and clients are in one process and have one clock.
struct LogLine {
    /// In the step, from 0.
    var number: Int
    /// Nanoseconds of the monotonic clock.
    var time: UInt64

    init(number: Int) {
        self.number = number
        time = Self.now
    }

    /// Reads ``text`` without its line feed.
    init?(_ line: Substring) {
        let words = line.split(separator: " ", maxSplits: 3)
        guard words.count == 4, words[0] == "line", let number = Int(words[1]), let time = UInt64(words[2]) else { return nil }
        self.number = number
        self.time = time
    }

    /// Of about the length that compilers' and package managers' lines have.
    var text: String { "line \(number) \(time) compiling github.com/example/module/internal/package/file.go\n" }

    /// Seconds since it was printed.
    var age: Double { Double(Self.now &- time) / 1e9 }

    static var now: UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
    }
}
