import Glibc

/// The parts that `Benchmarks/volumes.sh` puts together: data, one agent's volumes as a process, and a stopwatch for the peer.
enum Command {
    static let usage = """
        usage: volume-benchmark setup DIR                       certificates and a grant for two agents
               volume-benchmark make CASE DIR COUNT             data of a case: files, objects, big, flat
               volume-benchmark change CASE DIR COUNT ROUND     the change of a round (1 …)
               volume-benchmark agent NAME SETUP DATA           an agent's volumes; commands on standard input
               volume-benchmark measure FILE COMMAND …          runs a command; appends "seconds cpu-seconds peak-bytes" to FILE

        """

    static func run(_ arguments: [String]) async {
        do {
            switch arguments.first {
            case "setup" where arguments.count == 2: try Setup.make(in: arguments[1])
            case "make" where arguments.count == 4: try Dataset(arguments[1], count: arguments[3]).make(in: arguments[2])
            case "change" where arguments.count == 5:
                try Dataset(arguments[1], count: arguments[3]).change(in: arguments[2], round: number(arguments[4]))
            case "agent" where arguments.count == 4:
                try await BenchmarkAgent(name: arguments[1], setup: Setup(directory: arguments[2]), data: arguments[3]).run()
            case "measure" where arguments.count >= 3: try exit(Usage.measure(Array(arguments.dropFirst(2)), into: arguments[1]))
            default:
                say(usage)
                exit(2)
            }
        } catch {
            say("volume-benchmark: \(error)\n")
            exit(1)
        }
    }

    static func number(_ text: String) throws -> Int {
        guard let value = Int(text), value > 0 else { throw BenchmarkError.usage("'\(text)' is no number above 0") }
        return value
    }
}

/// What can go wrong here; the script shows it and ends.
enum BenchmarkError: Error, CustomStringConvertible {
    case usage(String)
    case system(String, Int32)

    static func last(_ what: String) -> BenchmarkError { .system(what, errno) }

    var description: String {
        switch self {
        case .usage(let what): what
        case .system(let what, let code): "\(what): \(String(cString: strerror(code)))"
        }
    }
}

/// Text on standard error.
func say(_ text: String) { _ = text.withCString { write(STDERR_FILENO, $0, strlen($0)) } }

/// Text on standard output, at once.
func answer(_ text: String) { _ = (text + "\n").withCString { write(STDOUT_FILENO, $0, strlen($0)) } }
