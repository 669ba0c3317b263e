import BuildPlan
import Testing

@testable import FarmAgent

@Suite("Emulation of other platforms") struct EmulationTests {
    private static let native = Platform(os: "linux", architecture: "amd64")
    private static let arm64 = Platform(os: "linux", architecture: "arm64")

    /// As the kernel shows a handler that Debian's qemu-user-static has registered.
    private static func handler(state: String = "enabled", flags: String = "OCF", machine: String = "b700") -> String {
        """
        \(state)
        interpreter /usr/libexec/qemu-binfmt/aarch64-binfmt-P
        flags: \(flags)
        offset 0
        magic 7f454c460201010000000000000000000200\(machine)
        mask ffffffffffffff00fffffffffffffffffeffffff

        """
    }

    private func trouble(
        _ files: [String: String]?, _ platforms: [Platform] = [arm64]
    ) -> String? {
        do {
            try Emulation.check(platforms, native: Self.native, names: files.map { Array($0.keys) }, read: { files?[$0] })
            return nil
        } catch {
            return "\(error)"
        }
    }

    @Test func `a handler with F for the platform's programs is enough`() {
        let files = ["status": "enabled\n", "register": "", "python3.11": "enabled\nextension .py\n", "qemu-aarch64": Self.handler()]
        #expect(trouble(files) == nil)
        #expect(trouble(nil, []) == nil, "nothing is asked of a machine that emulates nothing")
    }

    @Test(
        arguments: [
            (nil, "mount -t binfmt_misc"), ([:], "mount -t binfmt_misc"), (["status": "disabled\n", "q": handler()], "switched off"),
            (["status": "enabled\n"], "qemu-user-static"), (["status": "enabled\n", "q": handler(state: "disabled")], "qemu-user-static"),
            (["status": "enabled\n", "q": handler(machine: "f300")], "qemu-user-static"),
            (["status": "enabled\n", "q": handler(flags: "OC")], "no flag F"),
            (["status": "enabled\n", "q": "enabled\ninterpreter /x\nflags: F\noffset 900\nmagic 7f\n"], "qemu-user-static"),
            (["status": "enabled\n", "q": "enabled\nflags: F\noffset 0\nmagic 7f45\nmask ff\n"], "qemu-user-static"),
            (["status": "enabled\n", "q": "enabled\nflags: F\noffset 0\nmagic zz\n"], "qemu-user-static"),
        ] as [([String: String]?, String)]) func `else the agent says what is missing, and for what`(files: [String: String]?, says: String)
    {
        let trouble = trouble(files)
        #expect(trouble?.contains(says) == true && trouble?.contains("linux/arm64") == true, "\(trouble ?? "no trouble")")
    }

    @Test func `what can't be emulated is refused by name`() {
        let files = ["status": "enabled\n", "q": Self.handler()]
        #expect(trouble(files, [Self.arm64, Self.native])?.contains("is what this machine is itself") == true)
        #expect(trouble(files, [Platform(os: "linux", architecture: "vax")])?.contains("linux/riscv64") == true)
    }

    @Test(arguments: [("arm64", "020101", "b700"), ("s390x", "020201", "0016"), ("386", "010101", "0300"), ("riscv64", "020101", "f300")])
    func `programs of a platform begin as the ELF specification has it`(architecture: String, identity: String, machine: String) throws {
        let headers = try #require(ELFMachine(Platform(os: "linux", architecture: architecture))).headers
        for header in headers {
            let text = header.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
            #expect(text.hasPrefix("7f454c46\(identity)") && text.hasSuffix(machine) && header.count == 20, "\(text)")
        }
    }
}
