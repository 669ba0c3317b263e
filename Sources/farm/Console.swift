import Glibc

extension Farm {
    /// A line on standard error.
    static func say(_ text: String) {
        let line = text.hasSuffix("\n") ? text : text + "\n"
        line.withCString { _ = write(STDERR_FILENO, $0, strlen($0)) }
    }
}

/// Ends the process; ArgumentParser has an `exit` of its own.
func endProcess(_ code: Int32) -> Never { exit(code) }
