import FoundationEssentials
import Glibc

/// The OCI runtime that works on this machine.
public struct Runtime: Sendable {
    /// `crun` or `runc`, or what was named.
    public let name: String
    /// Of the program.
    public let path: String
    /// What it can do on this machine.
    let ability: Ability
    /// Sentences for the log: which one was taken, and why another was not.
    public let findings: [String]

    /// How much of cgroups works, the most first.
    enum Ability: CaseIterable {
        case limits
        case cgroups
        case nothing

        /// For messages.
        var lack: String {
            switch self {
            case .limits: ""
            case .cgroups: " without limits of processors and memory"
            case .nothing: " without cgroups"
            }
        }
    }

    /// False where it can't make cgroups.
    var usesCgroups: Bool { ability != .nothing }
    /// False where steps can't be held to processors and memory.
    public var enforcesLimits: Bool { ability == .limits }

    private static let outputLimit = 1024
    /// What the probe is held to: enough for any runtime's own start.
    private static let probeMemory: UInt64 = 64 << 20
    private static let candidates = ["crun", "runc"]
    private static let directories = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"]

    /// Finds a runtime by running a step in each candidate until one works. Blocking, about 50 ms.
    ///
    /// - Parameters:
    ///   - choice: `auto`, a name, or the path of a program that takes runc's arguments.
    ///   - directory: an existing one where the test's files may go.
    public static func find(choice: String, in directory: String) throws(SandboxError) -> Runtime {
        let wanted = choice == "auto" ? candidates : [choice]
        var findings: [String] = []
        let found = wanted.compactMap { candidate -> (name: String, path: String)? in
            guard let path = locate(candidate) else {
                findings.append("\(candidate) is not installed")
                return nil
            }
            return (String(candidate.split(separator: "/").last ?? Substring(candidate)), path)
        }
        for ability in Ability.allCases {
            for (name, path) in found {
                // runc has no way to do without cgroups; crun has.
                if ability == .nothing, name == "runc" { continue }
                let runtime = Runtime(name: name, path: path, ability: ability, findings: [])
                if let reason = runtime.reasonNotToWork(in: directory) {
                    findings.append("\(path)\(ability.lack) does not work here: \(reason)")
                } else {
                    return Runtime(name: name, path: path, ability: ability, findings: findings + ["steps run in \(path)\(ability.lack)"])
                }
            }
        }
        throw .noRuntime(tried: findings)
    }

    private static func locate(_ candidate: String) -> String? {
        if candidate.contains("/") { return access(candidate, X_OK) == 0 ? candidate : nil }
        return directories.map { "\($0)/\(candidate)" }.first { access($0, X_OK) == 0 }
    }

    /// The start of every command line.
    func arguments(root: String, log: String? = nil) -> [String] {
        var arguments = [path, "--root", root]
        if let log { arguments += ["--log", log, "--log-format", "json"] }
        if !usesCgroups, name == "crun" { arguments += ["--cgroup-manager", "disabled"] }
        return arguments
    }

    /// Runs /bin/true of this machine in a container as steps have it; nil if that works.
    private func reasonNotToWork(in directory: String) -> String? {
        let scratch = "\(directory)/runtime-test.\(getpid())"
        Files.removeTree(scratch)
        defer { Files.removeTree(scratch) }
        do {
            try Files.makeDirectory(scratch)
            let sandbox = try Sandbox(runtime: self, directory: scratch, name: "probe-\(getpid())-\(UInt32.random(in: 0...UInt32.max))")
            defer { sandbox.close() }
            // The machine's own programs are the only ones at hand; every place of them that is there is needed.
            let places = ["/bin", "/lib", "/lib32", "/lib64", "/usr", "/nix", "/gnu"].filter { Files.isDirectory($0) }
            var step = StepSpec(
                arguments: ["/bin/true"],
                mounts: places.map { StepSpec.Mount(target: $0, source: .path($0), readOnly: true) })
            (step.limits.cores, step.limits.memory) = (1, Self.probeMemory)
            let room = Snapshot.Room(upper: scratch + "/upper", work: scratch + "/work")
            for directory in [room.upper, room.work] { try Files.makeDirectory(directory) }
            let prepared = try sandbox.prepare(step, layers: [], room: room, scratch: scratch + "/step", id: "probe")
            defer { prepared.remove() }
            var output: [UInt8] = []
            let end = try sandbox.runToEnd(prepared) { output += $0.prefix(Self.outputLimit - min(Self.outputLimit, output.count)) }
            return end.code == 0 ? nil : "/bin/true ended with \(end.code): \(String(decoding: output, as: UTF8.self))"
        } catch {
            return "\(error)"
        }
    }
}
