import ArgumentParser
import Client

struct Builds: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "List builds, the newest first.")
    @OptionGroup var farm: FarmOptions
    @Flag(help: "Print JSON for programs.") var json = false
    func run() async throws { try await Listings(settings: try farm.settings()).builds(json: json) }
}

struct Show: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Show a build: its stages, steps, placements and bytes.")
    @OptionGroup var farm: FarmOptions
    @Argument(help: ArgumentHelp("A build's id, or the beginning of it.", valueName: "BUILD")) var build: String
    @Flag(help: "Print JSON for programs.") var json = false
    func run() async throws { try await Listings(settings: try farm.settings()).show(build, json: json) }
}

struct Logs: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Print the output of a build's steps.",
        discussion: """
            Each line begins with #N, the number of its step: its place in the build's plan, as in 'farm show', on the status page and in
            '--progress plain'. Without -f it prints what there is and ends; a build that goes on is not waited for.
            """)
    @OptionGroup var farm: FarmOptions
    @Argument(help: ArgumentHelp("A build's id, or the beginning of it.", valueName: "BUILD")) var build: String
    @Flag(name: .shortAndLong, help: "Go on until the build has ended.") var follow = false
    @Option(help: ArgumentHelp("Only the output of step N, as it is: N as after '#', or in 'farm show'.", valueName: "N")) var step: Int?
    func run() async throws {
        let listings = Listings(settings: try farm.settings())
        let (build, step, follow) = (build, step, follow)
        try await Interrupts.cancelling { try await listings.logs(build, step: step, follow: follow) }
    }
}

struct Cancel: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Cancel a build: its steps are ended, what they had finished stays cached.")
    @OptionGroup var farm: FarmOptions
    @Argument(help: ArgumentHelp("A build's id, or the beginning of it.", valueName: "BUILD")) var build: String
    func run() async throws { try await Listings(settings: try farm.settings()).cancel(build) }
}

struct Agents: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract:
            "List agents: their state, busy and all slots, reserved and all CPUs and memory, volumes that only they have, free space, runtime, address."
    )
    @OptionGroup var farm: FarmOptions
    @Flag(help: "Print JSON for programs.") var json = false
    func run() async throws { try await Listings(settings: try farm.settings()).agents(json: json) }
}

struct Drain: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Give an agent no new stages; those that run there end, and volumes that only it has are copied to others.")
    @OptionGroup var farm: FarmOptions
    @Argument(help: ArgumentHelp("The agent's name, as 'farm agents' lists it.", valueName: "AGENT")) var agent: String
    @Flag(help: "Return when nothing runs there any more and no volume is only there: the agent may be stopped.") var wait = false
    func run() async throws {
        let listings = Listings(settings: try farm.settings())
        let (agent, wait) = (agent, wait)
        try await listings.setDraining(agent, true)
        if wait { try await Interrupts.cancelling { try await listings.waitUntilDrained(agent) } }
    }
}

struct Resume: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Give a drained agent stages again.")
    @OptionGroup var farm: FarmOptions
    @Argument(help: ArgumentHelp("The agent's name, as 'farm agents' lists it.", valueName: "AGENT")) var agent: String
    func run() async throws { try await Listings(settings: try farm.settings()).setDraining(agent, false) }
}

struct Volumes: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List the volumes behind cache mounts, with their sizes, last uses, copies and holders.",
        subcommands: [List.self, Remove.self, Verify.self],
        defaultSubcommand: List.self)

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List volumes.")
        @OptionGroup var farm: FarmOptions
        @Flag(help: "Print JSON for programs.") var json = false
        func run() async throws { try await Listings(settings: try farm.settings()).volumes(json: json) }
    }

    struct Remove: AsyncParsableCommand {
        static let configuration = CommandConfiguration(commandName: "rm", abstract: "Remove a volume everywhere.")
        @OptionGroup var farm: FarmOptions
        @Argument(help: ArgumentHelp("Whose volume it is.", valueName: "PROJECT")) var project: String
        @Argument(help: ArgumentHelp("The cache mount's id, or its target where it has none.", valueName: "ID")) var id: String
        func run() async throws { try await Listings(settings: try farm.settings()).removeVolume(project: project, id: id) }
    }
}

extension Volumes {
    struct Verify: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Have every holder read all that it has of volumes, compare it with what it should be, and mend it.",
            discussion: """
                What is damaged is brought again from another holder. Where none has it, it is removed, so that no step ever gets it. The exit
                code is 1 when something was lost, is still damaged, or could not be looked at.
                """)
        @OptionGroup var farm: FarmOptions
        @Argument(help: ArgumentHelp("Only this project's volumes.", valueName: "PROJECT")) var project: String?
        @Argument(help: ArgumentHelp("Only the volume of this id.", valueName: "ID")) var id: String?
        @Flag(help: "Print JSON for programs.") var json = false
        func run() async throws {
            let listings = Listings(settings: try farm.settings())
            let (project, id, json) = (project, id, json)
            try await Interrupts.cancelling { try await listings.verifyVolumes(project: project, id: id, json: json) }
        }
    }
}

struct Image: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Base images of the farm: FROM looks here first.", subcommands: [Import.self, List.self, Remove.self])

    struct Import: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make an OCI archive, an OCI layout folder, a Docker archive or a root file system as tar a base image.")
        @OptionGroup var farm: FarmOptions
        @Argument(help: ArgumentHelp("As FROM names it.", valueName: "NAME")) var name: String
        @Argument(help: ArgumentHelp("The archive or folder.", valueName: "FILE")) var file: String
        @Option(
            help: ArgumentHelp(
                "Which one of an image of several, and what a root file system is for (default: the coordinator's own).",
                valueName: "PLATFORM"))
        var platform: String?
        func run() async throws {
            let command = ImageImportCommand(settings: try farm.settings())
            let platform = try platform.map { try SubmitOptions.platform($0) }
            let (name, file) = (name, file)
            try await Interrupts.cancelling { try await command.run(name: name, file: file, platform: platform) }
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List base images.")
        @OptionGroup var farm: FarmOptions
        @Flag(help: "Print JSON for programs.") var json = false
        func run() async throws { try await Listings(settings: try farm.settings()).images(json: json) }
    }

    struct Remove: AsyncParsableCommand {
        static let configuration = CommandConfiguration(commandName: "rm", abstract: "Remove a base image.")
        @OptionGroup var farm: FarmOptions
        @Argument(help: ArgumentHelp("The image's name, as 'farm image list' lists it.", valueName: "NAME")) var name: String
        func run() async throws { try await Listings(settings: try farm.settings()).removeImage(name) }
    }
}
