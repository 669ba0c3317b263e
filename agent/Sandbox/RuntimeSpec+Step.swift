import BuildPlan
import Glibc

extension RuntimeSpec {
    /// As container builders and engines give them by default: enough for package managers, not for the machine.
    static let capabilities = [
        "CAP_AUDIT_WRITE", "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_MKNOD", "CAP_NET_BIND_SERVICE",
        "CAP_NET_RAW", "CAP_SETFCAP", "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID", "CAP_SYS_CHROOT",
    ]
    static let hostname = "farm"
    static let defaultPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    /// 64 MiB, as Docker has it.
    static let defaultShmSize: UInt64 = 64 << 20
    /// Old programs close every descriptor up to the soft limit when they start; those that need more raise it. The hard limit is at most
    /// the agent's own, which not every machine lets root raise.
    private static let openFiles: Process.Limit = {
        var own = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &own)
        let hard = min(524_288, UInt64(own.rlim_max))
        return Process.Limit(type: "RLIMIT_NOFILE", hard: hard, soft: min(1024, hard))
    }()

    /// What of /proc and /sys tells of the machine, or harms it.
    private static let maskedPaths = [
        "/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/sched_debug",
        "/proc/scsi",
        "/proc/timer_list", "/proc/timer_stats", "/sys/devices/virtual/powercap", "/sys/firmware",
    ]
    private static let readonlyPaths = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]

    /// Makes the specification of a step.
    ///
    /// - Parameters:
    ///   - root: where the root file system is mounted.
    ///   - mounts: those of the step, resolved, parents first.
    ///   - cgroup: the path of the step's cgroup; nil for none.
    ///   - limits: those that the runtime has to set.
    init(
        step: StepSpec, identity: UserDatabase.Identity, root: String, workingDirectory: String, mounts: [Mount], cgroup: String?,
        limits: StepSpec.Limits, seccomp: Seccomp?
    ) {
        process = Process(
            user: Process.User(uid: identity.uid, gid: identity.gid, additionalGids: identity.supplementaryGroups, umask: 0o022),
            args: step.arguments, env: Self.environment(of: step, home: identity.home), cwd: workingDirectory,
            capabilities: Process.Capabilities(bounding: Self.capabilities, effective: Self.capabilities, permitted: Self.capabilities),
            rlimits: [Self.openFiles])
        self.root = Root(path: root)
        hostname = Self.hostname
        self.mounts = Self.systemMounts(shmSize: step.shmSize ?? Self.defaultShmSize, cgroup: cgroup != nil) + mounts
        var namespaces = ["pid", "mount", "ipc", "uts"]
        if cgroup != nil { namespaces.append("cgroup") }
        if step.network == .none { namespaces.append("network") }
        var resources: Linux.Resources?
        if cgroup != nil {
            resources = Linux.Resources(devices: Self.devices)
            if let cores = limits.cores {
                resources?.cpu = Linux.Resources.CPU(
                    quota: Int64(cores * Double(StepSpec.Limits.cpuPeriod)), period: StepSpec.Limits.cpuPeriod)
            }
            if let memory = limits.memory { resources?.memory = Linux.Resources.Memory(limit: Int64(clamping: memory)) }
        }
        linux = Linux(
            cgroupsPath: cgroup, resources: resources, namespaces: namespaces.map { Namespace(type: $0) }, maskedPaths: Self.maskedPaths,
            readonlyPaths: Self.readonlyPaths, seccomp: seccomp)
    }

    private static func environment(of step: StepSpec, home: String) -> [String] {
        var environment = step.environment + step.secretEnvironment
        if !environment.contains(where: { $0.hasPrefix("PATH=") }) { environment.insert(defaultPath, at: 0) }
        if !environment.contains(where: { $0.hasPrefix("HOME=") }) { environment.append("HOME=\(home)") }
        return environment
    }

    private static func systemMounts(shmSize: UInt64, cgroup: Bool) -> [Mount] {
        let closed = ["nosuid", "noexec", "nodev"]
        var mounts = [
            Mount(destination: "/proc", type: "proc", source: "proc", options: closed),
            Mount(destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "strictatime", "mode=755", "size=65536k"]),
            Mount(
                destination: "/dev/pts", type: "devpts", source: "devpts",
                options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
            Mount(destination: "/dev/shm", type: "tmpfs", source: "shm", options: closed + ["mode=1777", "size=\(shmSize)"]),
            Mount(destination: "/dev/mqueue", type: "mqueue", source: "mqueue", options: closed),
            Mount(destination: "/sys", type: "sysfs", source: "sysfs", options: closed + ["ro"]),
        ]
        if cgroup { mounts.append(Mount(destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: closed + ["ro"])) }
        return mounts
    }

    /// Nodes may be made (packages do), but only the harmless ones be opened.
    private static let devices: [Linux.Resources.Device] = {
        typealias Device = Linux.Resources.Device
        var devices = [
            Device(allow: false, access: "rwm"), Device(allow: true, type: "c", access: "m"), Device(allow: true, type: "b", access: "m"),
        ]
        // null, zero, full, random, urandom, tty, console, ptmx
        for (major, minor) in [(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 1), (5, 2)] as [(Int64, Int64)] {
            devices.append(Device(allow: true, type: "c", major: major, minor: minor, access: "rwm"))
        }
        devices.append(Device(allow: true, type: "c", major: 136, access: "rwm"))
        return devices
    }()
}
