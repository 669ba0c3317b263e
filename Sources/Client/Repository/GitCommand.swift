import Glibc

/// Runs git, with an environment of its own: no variable of the caller's decides which repository, index or configuration it uses.
struct GitCommand: Sendable {
    /// What git gets, without any `GIT_…` of the caller.
    private let environment: [String: String]

    /// What one command may print: the names of a million files.
    private static let outputLimit = 256 << 20
    private static let errorLimit = 64 << 10

    /// - Parameter extra: variables to set, such as `GIT_DIR`.
    init(environment: [String: String], extra: [String: String] = [:]) {
        var own = environment.filter { !$0.key.hasPrefix("GIT_") }
        // Messages in the language of our own; no questions; the user's index is not refreshed behind their back.
        own["LC_ALL"] = "C"
        own["GIT_TERMINAL_PROMPT"] = "0"
        own["GIT_OPTIONAL_LOCKS"] = "0"
        self.environment = own.merging(extra) { $1 }
    }

    /// Standard output of a git that ended well. Blocks. Throws ``ClientError`` with git's own words otherwise.
    ///
    /// Hooks and the file system monitor are switched off: they are programs that a repository's configuration names.
    @discardableResult
    func run(_ arguments: [String]) throws(ClientError) -> [UInt8] {
        let result = try attempt(arguments)
        guard result.status == 0 else { throw .failed("git \(arguments.first ?? "") failed: \(result.error)") }
        return result.output
    }

    /// What git printed, and its exit code. Throws where it can't be run at all.
    func attempt(_ arguments: [String]) throws(ClientError) -> (status: Int32, output: [UInt8], error: String) {
        // The modes of files that git makes are what everybody else's git would make.
        let shell = ["sh", "-c", "umask 022 && exec \"$@\"", "sh"]
        let fixed = ["git", "-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false"]
        do {
            guard ChildProcess.isOnPath("git") else {
                throw ClientError.failed("git is not on the PATH: a werf.yaml is built from its git repository")
            }
            let child = try ChildProcess.start(shell + fixed + arguments, environment: environment, output: .pipes)
            let (output, error) = Self.drain(child)
            let status = try child.waitBlocking()
            guard let output else { throw ClientError.failed("git \(arguments.first ?? "") printed more than \(Self.outputLimit) bytes") }
            return (status, output, Printable.lines(String(decoding: error, as: UTF8.self)).joined(separator: " "))
        } catch let error as ClientError {
            throw error
        } catch {
            throw .failed("\(error)")
        }
    }

    /// Both outputs to their ends; nil where there was too much, and the program was ended.
    private static func drain(_ child: ChildProcess) -> (output: [UInt8]?, error: [UInt8]) {
        defer {
            close(child.output)
            close(child.errors)
        }
        var output: [UInt8] = []
        var error: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        var descriptors = [child.output, child.errors].map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        while descriptors.contains(where: { $0.fd >= 0 }) {
            if poll(&descriptors, nfds_t(descriptors.count), -1) < 0 {
                if errno == EINTR { continue }
                break
            }
            for index in descriptors.indices where descriptors[index].fd >= 0 && descriptors[index].revents != 0 {
                let count = read(descriptors[index].fd, &buffer, buffer.count)
                if count < 0, errno == EINTR { continue }
                if count <= 0 {
                    descriptors[index].fd = -1
                } else if index == 0 {
                    output += buffer[..<count]
                } else if error.count < errorLimit {
                    error += buffer[..<count]
                }
            }
            if output.count > outputLimit {
                child.killIfRunning()
                return (nil, error)
            }
        }
        return (output, error)
    }
}
