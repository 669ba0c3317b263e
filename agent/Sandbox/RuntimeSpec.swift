/// The OCI runtime specification's `config.json`, as far as steps need it.
struct RuntimeSpec: Encodable {
    struct Process: Encodable {
        struct User: Encodable {
            var uid: UInt32
            var gid: UInt32
            var additionalGids: [UInt32]
            var umask: UInt32
        }
        struct Capabilities: Encodable {
            var bounding: [String]
            var effective: [String]
            var permitted: [String]
        }
        struct Limit: Encodable {
            var type: String
            var hard: UInt64
            var soft: UInt64
        }
        var terminal = false
        var user: User
        var args: [String]
        var env: [String]
        var cwd: String
        var capabilities: Capabilities
        var rlimits: [Limit]
        // setuid programs (sudo, su, ping) work in image builds, as they do with other builders.
        var noNewPrivileges = false
    }

    struct Root: Encodable {
        var path: String
        var readonly = false
    }

    struct Mount: Encodable {
        var destination: String
        var type: String
        var source: String
        var options: [String]
    }

    struct Namespace: Encodable {
        var type: String
    }

    struct Seccomp: Encodable {
        struct Argument: Encodable {
            var index: UInt32
            var value: UInt64
            var valueTwo: UInt64?
            var op: String
        }
        struct Rule: Encodable {
            var names: [String]
            var action: String
            var errnoRet: UInt32?
            var args: [Argument]?
        }
        var defaultAction: String
        var defaultErrnoRet: UInt32
        var architectures: [String]
        var syscalls: [Rule]
    }

    struct Linux: Encodable {
        struct Resources: Encodable {
            struct Device: Encodable {
                var allow: Bool
                var type: String?
                var major: Int64?
                var minor: Int64?
                var access: String
            }
            struct CPU: Encodable {
                var quota: Int64
                var period: UInt64
            }
            struct Memory: Encodable {
                var limit: Int64
            }
            var devices: [Device]?
            var cpu: CPU?
            var memory: Memory?
        }
        var cgroupsPath: String?
        var resources: Resources?
        var namespaces: [Namespace]
        var maskedPaths: [String]
        var readonlyPaths: [String]
        var seccomp: Seccomp?
    }

    var ociVersion = "1.0.2"
    var process: Process
    var root: Root
    var hostname: String
    var mounts: [Mount]
    var linux: Linux
}
