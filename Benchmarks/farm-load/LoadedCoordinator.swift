import BlockingIO
import Certificates
import Foundation
import Transport

/// A new farm and its coordinator, in a process of its own.
final class LoadedCoordinator {
    enum Failure: Error, CustomStringConvertible {
        case didNotStart(log: String)
        case initFailed(String)

        var description: String {
            switch self {
            case .didNotStart(let log): "the coordinator did not start: \(log)"
            case .initFailed(let output): "farm-coordinator init failed: \(output)"
            }
        }
    }

    /// A coordinator with an empty store starts within this on any machine.
    private static let startLimit = Duration.seconds(30)

    private(set) var port = 0
    private let process = Process()
    private let data: String
    private let logFile: String

    /// Makes the farm and starts the coordinator; returns when it listens.
    init(program: String, folder: String) async throws {
        data = folder + "/data"
        logFile = folder + "/coordinator.log"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let setup = Process()
        setup.executableURL = URL(fileURLWithPath: program)
        setup.arguments = ["init", "--data", data, "--listen", "127.0.0.1:7480", "--names", "localhost"]
        setup.standardOutput = FileHandle.nullDevice
        try setup.run()
        try await Self.end(of: setup)
        guard setup.terminationStatus == 0 else { throw Failure.initFailed("status \(setup.terminationStatus)") }
        _ = FileManager.default.createFile(atPath: logFile, contents: nil)
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = ["--data", data, "--listen", "127.0.0.1:0", "--log-level", "notice"]
        process.standardInput = FileHandle.nullDevice
        process.standardError = FileHandle(forWritingAtPath: logFile)
        try process.run()
        let end = ContinuousClock.now + Self.startLimit
        while port == 0 {
            guard ContinuousClock.now < end, process.isRunning else {
                process.terminate()
                throw Failure.didNotStart(log: log)
            }
            try await Task.sleep(for: .milliseconds(20))
            port = Self.port(in: log)
        }
    }

    private var log: String { (try? String(contentsOfFile: logFile, encoding: .utf8)) ?? "" }

    /// Lines of the log that say that something is wrong.
    var warnings: [String] { log.split(separator: "\n").filter { $0.contains(" warning ") || $0.contains(" error ") }.map(String.init) }

    /// `… listening address=127.0.0.1:40123 …`
    private static func port(in log: String) -> Int {
        guard let address = log.split(whereSeparator: \.isWhitespace).first(where: { $0.hasPrefix("address=") }),
            let port = address.split(separator: ":").last
        else { return 0 }
        return Int(port) ?? 0
    }

    /// Connections of this machine's agent or client with that name; its files are made in this process.
    func identities(agents count: Int, folder: String) async throws -> [TLSIdentity] {
        let authority = try Authority(directory: data + "/authority")
        return try await BlockingPool.shared.run {
            try (0..<count).map { number in
                let files = "\(folder)/agents/\(number)"
                try FileManager.default.createDirectory(atPath: files, withIntermediateDirectories: true)
                let issued = try authority.issue(commonName: LightAgent.name(number), role: Role.agent)
                return Self.identity(try authority.write(issued, to: files))
            }
        }
    }

    /// The first client's.
    var client: TLSIdentity {
        let files = data + "/clients/admin"
        return TLSIdentity(
            certificateFile: files + "/certificate.pem", privateKeyFile: files + "/key.pem",
            authorityFile: data + "/authority/authority.pem")
    }

    private static func identity(_ files: CertificateFiles) -> TLSIdentity {
        TLSIdentity(certificateFile: files.certificate, privateKeyFile: files.key, authorityFile: files.authority)
    }

    var usage: ProcessUsage { ProcessUsage(of: process.processIdentifier) }

    /// Ends it in order.
    func stop() async throws {
        process.terminate()
        try await Self.end(of: process)
    }

    private static func end(of process: Process) async throws {
        let process = UncheckedProcess(process)
        try await BlockingPool.shared.run { process.value.waitUntilExit() }
    }

    /// `waitUntilExit` may be called from any thread; Foundation has not said so in the type.
    private struct UncheckedProcess: @unchecked Sendable {
        let value: Process
        init(_ value: Process) { self.value = value }
    }
}

/// What a process has cost so far.
struct ProcessUsage {
    /// Seconds.
    var processor = 0.0
    /// Bytes: VmRSS and VmHWM.
    var memory = 0
    var peak = 0

    init(of process: Int32) {
        if let stat = try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8), let end = stat.lastIndex(of: ")") {
            // proc(5): utime and stime are the 14th and 15th field, in ticks; the 3rd follows the name's parenthesis.
            let fields = stat[stat.index(after: end)...].split(separator: " ")
            if fields.count > 12, let user = Double(fields[11]), let system = Double(fields[12]) {
                processor = (user + system) / Double(sysconf(Int32(_SC_CLK_TCK)))
            }
        }
        guard let status = try? String(contentsOfFile: "/proc/\(process)/status", encoding: .utf8) else { return }
        for line in status.split(separator: "\n") {
            let words = line.split(whereSeparator: \.isWhitespace)
            guard words.count > 1, let value = Int(words[1]) else { continue }
            if words[0] == "VmRSS:" { memory = value << 10 }
            if words[0] == "VmHWM:" { peak = value << 10 }
        }
    }
}
