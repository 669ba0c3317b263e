import ArgumentParser
import Daemon
import FarmCoordinator
import Store

/// A copy of everything that a coordinator can't make anew.
struct Backup: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Write a backup of the farm's truth, while the coordinator runs or while it does not.",
        discussion: """
            The backup is a directory of its own: the database as of one moment, checked; certificates, keys and tokens; layers of imported
            images, as hard links where the backup is on the same file system. Contexts, volumes and layers of builds are not in it: they
            come again from clients and agents. It is there when it is whole, and nothing is ever overwritten.
            """)

    @OptionGroup var settings: Settings
    @Option(help: ArgumentHelp("Directory of the backup, which is made.", valueName: "dir")) var to: String
    @Flag(help: "Leave out keys and tokens: they are kept by other means.") var withoutKeys = false
    @Flag(help: "Leave out the layers of imported images: they can be imported again.") var withoutImages = false

    mutating func run() async throws {
        var backup = FarmBackup()
        backup.keys = !withoutKeys
        backup.images = !withoutImages
        let made = try backup.write(try settings.read(), to: to)
        print("\(to): \(made.summary)")
        for warning in made.warnings { Terminal.warn("farm-coordinator: note: \(warning)") }
    }
}

/// A data directory from a backup.
struct Restore: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Make a data directory of a backup.",
        discussion: """
            The data directory must be empty, or not be there. The backup is checked before anything is written. Builds that were under way
            when it was taken are shown as failed. What agents have made since, they tell when they join: newer generations of volumes count,
            and layers are found again by the builds that make them.
            """)

    @Option(help: ArgumentHelp("The backup's directory.", valueName: "dir")) var from: String
    @Option(help: ArgumentHelp("The data directory that is made.", valueName: "dir")) var data: String

    mutating func run() async throws { for line in try FarmRestoration(from: from, to: data).run() { print(line) } }
}

/// A thorough look at the database.
struct Check: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Check the whole database, while the coordinator runs or while it does not.",
        discussion:
            "Reads everything: structure, indexes, references, and every row as the coordinator would. Exit status 1 if anything is wrong.")

    /// So many problems tell enough.
    private static let limit = 100

    @OptionGroup var settings: Settings

    mutating func run() async throws {
        let database = DataLayout(data: try settings.read().data).database
        let problems = try StoreCopy.problems(of: database, limit: Self.limit)
        for problem in problems { print(problem) }
        guard problems.isEmpty else { throw BackupError.failed("\(database) is damaged: restore the farm from a backup") }
        print("\(database): nothing is wrong")
    }
}
