import Digests
import Glibc

/// The files of a commit, in a folder of our own that outlives the command: the next submission touches only what has changed since.
///
/// git does the work, but with a repository of ours around the user's objects: neither hooks nor filters nor line ends of anybody's
/// configuration have a part in it, so that a commit gives the same bytes on every machine.
struct GitCheckout: Sendable {
    /// The root of the commit's tree.
    let folder: String
    /// Held as long as files may be read from the folder; the kernel lets go of it when the process ends.
    private let lock: Int32

    /// Submissions of one repository that run at the same time have folders of their own; more than these wait for each other.
    private static let slots = 8

    /// A checkout that no submission has used for so long goes: 30 days. It comes back by itself.
    static let retention: Int64 = 30 * 86_400

    /// Switches off everything that would make other bytes of a file than those that were committed.
    private static let attributes = "* -text -eol -crlf -filter -ident -working-tree-encoding\n"

    /// Brings the folder to the commit. Blocks, in proportion to what differs. Throws ``ClientError``.
    static func make(_ repository: GitRepository, environment: [String: String]) throws(ClientError) -> GitCheckout {
        let (slot, lock) = try takeSlot(of: Digest.of(repository.root).hex.prefix(32).description, environment: environment)
        do {
            try update(slot, to: repository, environment: environment)
        } catch {
            close(lock)
            throw error
        }
        return GitCheckout(folder: "\(slot)/tree", lock: lock)
    }

    /// Lets another submission have the folder.
    func release() { close(lock) }

    private static func takeSlot(
        of repository: String, environment: [String: String]
    ) throws(ClientError) -> (folder: String, lock: Int32) {
        guard let checkouts = UserCache.folder("checkouts", environment: environment) else {
            throw .failed("there is no place for the commit's files: set HOME or XDG_CACHE_HOME, or build the folder as it is by --loose")
        }
        let gate = open("\(checkouts)/lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard gate >= 0 else { throw failure("\(checkouts)/lock") }
        defer { close(gate) }
        // One of another repository at most, so that no submission waits for long; the next one has the next.
        StaleFolders.removeOne(in: checkouts, gate: gate, keeping: repository, unusedFor: retention)
        // Nobody removes a folder while one of its slots is being taken.
        while flock(gate, LOCK_SH) != 0, errno == EINTR {}
        guard let base = UserCache.folder("checkouts/\(repository)", environment: environment) else {
            throw failure("\(checkouts)/\(repository)")
        }
        for number in 0..<slots {
            let slot = "\(base)/\(number)"
            guard mkdir(slot, 0o700) == 0 || errno == EEXIST else { throw failure(slot) }
            let descriptor = open("\(slot)/lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
            guard descriptor >= 0 else { throw failure(slot) }
            var status = flock(descriptor, LOCK_EX | LOCK_NB)
            // The last one is waited for.
            while status != 0, errno == EINTR || number == slots - 1 { status = flock(descriptor, LOCK_EX) }
            if status == 0 {
                // When it was last used.
                futimens(descriptor, nil)
                return (slot, descriptor)
            }
            close(descriptor)
        }
        throw .failed("\(base): no folder there can be locked")
    }

    private static func update(
        _ slot: String, to repository: GitRepository, environment: [String: String]
    ) throws(ClientError) {
        let (store, tree) = ("\(slot)/git", "\(slot)/tree")
        // A command that was killed left it; the lock says that no other one runs.
        unlink("\(store)/index.lock")
        guard mkdir(tree, 0o755) == 0 || errno == EEXIST else { throw failure(tree) }
        let settings = ["GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_ATTR_NOSYSTEM": "1"]
        if access("\(store)/info/attributes", F_OK) != 0 {
            let format = repository.commit.hash.count > 40 ? "sha256" : "sha1"
            try GitCommand(environment: environment, extra: settings).run([
                "init", "--quiet", "--bare", "--template=", "--object-format=\(format)", store,
            ])
            guard mkdir("\(store)/info", 0o700) == 0 || errno == EEXIST else { throw failure(store) }
            try ResultFile.write(attributes, to: "\(store)/info/attributes", option: "checkout")
        }
        let git = GitCommand(
            environment: environment,
            extra: settings.merging([
                "GIT_DIR": store, "GIT_WORK_TREE": tree, "GIT_OBJECT_DIRECTORY": repository.objects, "GIT_INDEX_FILE": "\(store)/index",
            ]) { $1 })
        let options = ["-c", "core.bare=false", "-c", "core.fileMode=true", "-c", "core.symlinks=true", "-c", "core.autocrlf=false"]
        let result = try git.attempt(options + ["read-tree", "--reset", "-u", repository.commit.hash])
        guard result.status == 0 else {
            throw .failed(
                "the files of commit \(repository.commit.hash.prefix(12)) can't be checked out: \(result.error); "
                    + "a partial clone has to fetch them first, or build the folder as it is by --loose")
        }
        // What a command that was killed had made and the index does not know.
        try git.run(options + ["clean", "-ffdxq"])
    }

    private static func failure(_ path: String) -> ClientError { .failed("\(path): \(String(cString: strerror(errno)))") }
}
