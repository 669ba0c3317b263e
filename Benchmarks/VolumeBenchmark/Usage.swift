import Glibc

/// What processes cost.
enum Usage {
    /// Processor seconds of this process so far.
    static func processor() -> Double {
        var usage = rusage()
        getrusage(RUSAGE_SELF.rawValue, &usage)
        return seconds(usage.ru_utime) + seconds(usage.ru_stime)
    }

    private static func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }

    /// The most memory since ``resetPeak()``, in bytes: VmHWM.
    static func peak() -> Int {
        guard let file = fopen("/proc/self/status", "r") else { return 0 }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 256)
        while fgets(&line, Int32(line.count), file) != nil {
            let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            let words = text.split(whereSeparator: \.isWhitespace)
            if words.first == "VmHWM:", words.count > 1, let value = Int(words[1]) { return value * 1024 }
        }
        return 0
    }

    /// The peak counts from here.
    static func resetPeak() {
        guard let file = fopen("/proc/self/clear_refs", "w") else { return }
        fputs("5", file)
        fclose(file)
    }

    /// Runs a program of the PATH to its end and notes what it and its children cost; returns its exit code.
    static func measure(_ command: [String], into file: String) throws -> Int32 {
        var arguments: [UnsafeMutablePointer<CChar>?] = command.map { strdup($0) } + [nil]
        defer { for argument in arguments { free(argument) } }
        let start = ContinuousClock.now
        var process = pid_t()
        let status = posix_spawnp(&process, command[0], nil, nil, &arguments, environ)
        guard status == 0 else { throw BenchmarkError.system("starting \(command[0])", status) }
        var code: Int32 = 0
        var usage = rusage()
        while wait4(process, &code, 0, &usage) < 0 {
            guard errno == EINTR else { throw BenchmarkError.last("waiting for \(command[0])") }
        }
        let elapsed = ContinuousClock.now - start
        guard let output = fopen(file, "a") else { throw BenchmarkError.last("opening \(file)") }
        fputs("\(elapsed / .seconds(1)) \(seconds(usage.ru_utime) + seconds(usage.ru_stime)) \(usage.ru_maxrss * 1024)\n", output)
        fclose(output)
        return code & 0x7f == 0 ? code >> 8 & 0xff : 128 + code & 0x7f
    }
}
