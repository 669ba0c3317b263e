import BuildPlan

/// Programs of other architectures, run by an interpreter that the kernel starts for them (binfmt_misc).
enum Emulation {
    /// Where the kernel's handlers are.
    static let directory = "/proc/sys/fs/binfmt_misc"

    /// Sees that programs of every platform can be run in a container here.
    ///
    /// - Parameters:
    ///   - native: this machine's own.
    ///   - names: of the handlers' files; nil where the directory can't be read.
    ///   - read: a file in ``directory``.
    static func check(
        _ platforms: [Platform], native: Platform, names: [String]?, read: (String) -> String?
    ) throws(AgentError) {
        guard !platforms.isEmpty else { return }
        guard let names, names.contains("status") else {
            throw .noEmulation(
                platforms[0],
                reason: "binfmt_misc is not mounted at \(directory): mount -t binfmt_misc binfmt_misc \(directory)")
        }
        guard read("status")?.hasPrefix("enabled") == true else {
            throw .noEmulation(platforms[0], reason: "binfmt_misc is switched off: echo 1 > \(directory)/status")
        }
        let handlers = names.sorted().filter { $0 != "status" && $0 != "register" }.compactMap { name in
            read(name).flatMap { BinaryHandler(name: name, text: $0) }
        }
        for platform in platforms { try check(platform, native: native, handlers) }
    }

    private static func check(_ platform: Platform, native: Platform, _ handlers: [BinaryHandler]) throws(AgentError) {
        guard platform != native else { throw .noEmulation(platform, reason: "it is what this machine is itself") }
        guard let machine = ELFMachine(platform) else {
            throw .noEmulation(platform, reason: "it is not known here; there are \(ELFMachine.known.joined(separator: ", "))")
        }
        let able = handlers.filter { handler in machine.headers.allSatisfy(handler.takes) }
        guard let first = able.first else {
            throw .noEmulation(
                platform,
                reason:
                    "no handler in \(directory) takes its programs. On Debian and Ubuntu: apt-get install qemu-user-static binfmt-support")
        }
        if !able.contains(where: \.isFixed) {
            throw .noEmulation(
                platform,
                reason:
                    "the handler \(first.name) (\(first.interpreter)) has no flag F, without which the kernel looks for the interpreter in "
                    + "the image; Debian's qemu-user-static has it, others are registered with 'F' at the end of their line")
        }
    }
}

/// A handler of binfmt_misc: which programs it takes.
struct BinaryHandler {
    var name: String
    var interpreter: String
    /// The interpreter was opened when the handler was registered, so that every container has it.
    var isFixed: Bool
    private var offset: Int
    private var magic: [UInt8]
    private var mask: [UInt8]

    /// Reads what the kernel shows of it; nil for one that is switched off, and for those that go by a file's name.
    init?(name: String, text: String) {
        let lines = text.split(separator: "\n")
        guard lines.first == "enabled" else { return nil }
        func value(_ key: String) -> Substring? {
            lines.first { $0.hasPrefix(key + " ") || $0.hasPrefix(key + ": ") }?.drop { $0 != " " }.drop { $0 == " " }
        }
        guard let magic = value("magic").flatMap({ Hex.bytes(String($0)) }) else { return nil }
        self.name = name
        interpreter = value("interpreter").map(String.init) ?? ""
        isFixed = value("flags")?.contains("F") == true
        offset = value("offset").flatMap { Int($0) } ?? 0
        self.magic = magic
        mask = value("mask").flatMap { Hex.bytes(String($0)) } ?? Array(repeating: 0xff, count: magic.count)
    }

    /// Whether it takes a program that begins so.
    func takes(_ header: [UInt8]) -> Bool {
        guard offset >= 0, offset <= header.count, magic.count <= header.count - offset, mask.count == magic.count else { return false }
        return magic.indices.allSatisfy { header[offset + $0] & mask[$0] == magic[$0] & mask[$0] }
    }
}

/// How programs of a platform begin (System V ABI, chapter 4).
struct ELFMachine {
    private var is64Bit: Bool
    private var isBigEndian = false
    private var number: UInt8

    private static let machines: [String: ELFMachine] = [
        "386": ELFMachine(is64Bit: false, number: 3), "amd64": ELFMachine(is64Bit: true, number: 62),
        "arm": ELFMachine(is64Bit: false, number: 40), "arm64": ELFMachine(is64Bit: true, number: 183),
        "ppc64le": ELFMachine(is64Bit: true, number: 21), "riscv64": ELFMachine(is64Bit: true, number: 243),
        "s390x": ELFMachine(is64Bit: true, isBigEndian: true, number: 22),
    ]
    static let known = machines.keys.sorted().map { "linux/\($0)" }

    private init(is64Bit: Bool, isBigEndian: Bool = false, number: UInt8) {
        self.is64Bit = is64Bit
        self.isBigEndian = isBigEndian
        self.number = number
    }

    init?(_ platform: Platform) {
        guard platform.os == "linux", let machine = Self.machines[platform.architecture] else { return nil }
        self = machine
    }

    /// The first 20 bytes of a program with a fixed place in memory, and of one without.
    var headers: [[UInt8]] {
        [UInt8(2), 3].map { type in
            var header: [UInt8] = [0x7f, 0x45, 0x4c, 0x46, is64Bit ? 2 : 1, isBigEndian ? 2 : 1, 1]
            header += Array(repeating: 0, count: 16 - header.count)
            return header + (isBigEndian ? [0, type, 0, number] : [type, 0, number, 0])
        }
    }
}
