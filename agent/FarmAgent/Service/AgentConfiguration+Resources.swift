import BuildPlan
import FarmAPI
import FoundationEssentials
import Logging

extension AgentConfiguration {
    /// What stages can reserve here, by the settings and what the machine has. Blocks.
    ///
    /// - Throws: ``AgentError/noEmulation(_:reason:)`` for a platform that the kernel has no handler for.
    func resources(enforcesLimits: Bool, logger: Logger) throws(AgentError) -> AgentResources {
        try Emulation.check(
            emulate, native: .own, names: try? FileManager.default.contentsOfDirectory(atPath: Emulation.directory),
            read: { Self.text(of: "\(Emulation.directory)/\($0)") })
        guard enforcesLimits else {
            let given = [
                ("cpus", cpus != nil), ("memory", memory != nil), ("step-cores", stepCores != nil), ("step-memory", stepMemory != nil),
            ]
            let settings = given.filter(\.1).map(\.0).joined(separator: ", ")
            logger.warning(
                "steps can't be held to processors and memory here: builds with --cpus or --memory run on other agents",
                metadata: settings.isEmpty ? [:] : ["without effect": "\(settings)"])
            return AgentResources(withoutLimits: "its cgroups can't hold steps to limits", emulated: emulate)
        }
        let machine = MachineResources(read: Self.text(of:))
        return AgentResources(
            cpus: cpus ?? machine.cpus, memory: memory ?? machine.memory, stepCPUs: stepCores, stepMemory: stepMemory, emulated: emulate)
    }

    // Files of /proc and /sys say that they are empty: they are read to their end.
    private static func text(of path: String) -> String? {
        FileManager.default.contents(atPath: path).map { String(decoding: $0, as: UTF8.self) }
    }
}
