import Glibc
import Testing

@testable import Client

@Suite struct GitCheckoutTests {
    private func checkout(_ repository: TemporaryRepository) throws -> GitCheckout {
        let found = try GitRepository.find(repository.folder, environment: repository.environment)
        return try GitCheckout.make(found, environment: repository.environment)
    }

    private func status(_ path: String) -> stat {
        var status = stat()
        return lstat(path, &status) == 0 ? status : stat()
    }

    @Test func `a checkout has the commit's files and not those of the work tree`() throws {
        let repository = try TemporaryRepository()
        defer { repository.remove() }
        try repository.write("one\n", to: "a")
        try repository.write("#!/bin/sh\n", to: "bin/run", mode: 0o777)
        symlink("a", "\(repository.folder)/link")
        try repository.commit()
        try repository.write("changed\n", to: "a")
        try repository.write("new\n", to: "untracked")
        let checkout = try checkout(repository)
        defer { checkout.release() }
        #expect(TemporaryRepository.text("\(checkout.folder)/a") == "one\n")
        #expect(TemporaryRepository.text("\(checkout.folder)/untracked") == nil)
        #expect(status("\(checkout.folder)/a").st_mode & 0o7777 == 0o644)
        #expect(status("\(checkout.folder)/bin/run").st_mode & 0o7777 == 0o755)
        #expect(status("\(checkout.folder)/link").st_mode & S_IFMT == S_IFLNK)
        #expect(access("\(checkout.folder)/.git", F_OK) != 0)
    }

    @Test func `the next checkout touches only what has changed, and removes what is gone`() throws {
        let repository = try TemporaryRepository()
        defer { repository.remove() }
        for name in ["same", "changed", "gone", "folder/gone"] { try repository.write(name, to: name) }
        try repository.commit()
        let first = try checkout(repository)
        first.release()
        let before = status("\(first.folder)/same")
        try repository.write("other", to: "changed")
        try repository.git("rm", "--quiet", "gone", "folder/gone")
        try repository.commit()
        // What somebody left there is none of the commit's.
        close(open("\(first.folder)/left", O_CREAT | O_WRONLY, 0o644))
        let second = try checkout(repository)
        defer { second.release() }
        #expect(second.folder == first.folder)
        let after = status("\(second.folder)/same")
        #expect(
            (after.st_ino, after.st_mtim.tv_sec, after.st_ctim.tv_nsec) == (before.st_ino, before.st_mtim.tv_sec, before.st_ctim.tv_nsec))
        #expect(TemporaryRepository.text("\(second.folder)/changed") == "other")
        for name in ["gone", "folder", "left"] { #expect(access("\(second.folder)/\(name)", F_OK) != 0, "\(name)") }
    }

    @Test func `two submissions at once have folders of their own`() throws {
        let repository = try TemporaryRepository()
        defer { repository.remove() }
        try repository.write("1", to: "a")
        try repository.commit()
        let first = try checkout(repository)
        try repository.write("2", to: "a")
        try repository.commit()
        let second = try checkout(repository)
        #expect(TemporaryRepository.text("\(first.folder)/a") == "1")
        #expect(TemporaryRepository.text("\(second.folder)/a") == "2")
        first.release()
        second.release()
    }

    @Test func `a repository's configuration runs nothing and changes no byte`() throws {
        let repository = try TemporaryRepository()
        defer { repository.remove() }
        try repository.write("* text=auto eol=crlf\n*.f filter=evil\n", to: ".gitattributes")
        try repository.write("line\n", to: "text")
        try repository.write("raw\n", to: "x.f")
        try repository.commit()
        let trace = "\(repository.root)/evil"
        try repository.git("config", "filter.evil.smudge", "touch \(trace); cat")
        try repository.git("config", "core.fsmonitor", "touch \(trace); false")
        try repository.git("config", "core.hooksPath", "\(repository.root)/hooks")
        mkdir("\(repository.root)/hooks", 0o755)
        for hook in ["post-checkout", "post-index-change"] {
            try repository.write("#!/bin/sh\ntouch \(trace)\n", to: "../hooks/\(hook)", mode: 0o755)
        }
        let checkout = try checkout(repository)
        defer { checkout.release() }
        _ = try GitRepository.find(repository.folder, environment: repository.environment).changes()
        #expect(TemporaryRepository.text("\(checkout.folder)/text") == "line\n")
        #expect(TemporaryRepository.text("\(checkout.folder)/x.f") == "raw\n")
        #expect(access(trace, F_OK) != 0)
    }

    @Test func `variables of the caller's git do not lead to another repository`() throws {
        let repository = try TemporaryRepository()
        defer { repository.remove() }
        try repository.write("1", to: "a")
        try repository.commit()
        var environment = repository.environment
        environment["GIT_DIR"] = "/nonexistent"
        environment["GIT_INDEX_FILE"] = "\(repository.root)/index"
        let found = try GitRepository.find(repository.folder, environment: environment)
        try GitCheckout.make(found, environment: environment).release()
        #expect(access("\(repository.root)/index", F_OK) != 0)
    }

    @Test func `changes are named relative to the project, the first ones, with their number`() throws {
        let repository = try TemporaryRepository()
        defer { repository.remove() }
        try repository.write("1", to: "app/a")
        try repository.write("1", to: "app/gone")
        try repository.write("ignored\n", to: "app/.gitignore")
        try repository.write("1", to: "other")
        try repository.commit()
        try repository.write("2", to: "app/a")
        try repository.write("2", to: "other")
        try repository.write("1", to: "app/ignored")
        unlink("\(repository.folder)/app/gone")
        for number in 0..<20 { try repository.write("", to: "app/n\(number)") }
        let found = try GitRepository.find("\(repository.folder)/app", environment: repository.environment)
        #expect(found.project == "app")
        let changes = try found.changes()
        #expect(changes.count == 22)
        #expect(changes.named.count == GitRepository.namedChanges)
        #expect(changes.named.prefix(3) == ["a", "gone", "n0"])
    }

    @Test func `the commit's hash, date, branch and tag are known to templates`() throws {
        let repository = try TemporaryRepository()
        defer { repository.remove() }
        try repository.commit()
        var commit = try GitRepository.find(repository.folder, environment: repository.environment).commit
        #expect(commit.hash == (try repository.git("rev-parse", "HEAD")).dropLast())
        #expect(commit.branch == "main")
        #expect(commit.tag == nil)
        #expect(commit.seconds > 1_600_000_000)
        try repository.git("tag", "v1")
        try repository.git("checkout", "--quiet", "--detach")
        commit = try GitRepository.find(repository.folder, environment: repository.environment).commit
        #expect(commit.branch == nil)
        #expect(commit.tag == "v1")
    }

    @Test func `no repository, and one without a commit, are errors that say what to do`() throws {
        let repository = try TemporaryRepository()
        defer { repository.remove() }
        var error = #expect(throws: ClientError.self) {
            try GitRepository.find(repository.root, environment: repository.environment)
        }
        #expect(error?.description.contains("is not in a git repository") == true, "\(error?.description ?? "")")
        #expect(error?.exitCode == 1)
        error = #expect(throws: ClientError.self) { try GitRepository.find(repository.folder, environment: repository.environment) }
        #expect(error?.description.contains("has no commit yet") == true)
    }

    @Test func `a submodule is named, and its folder is empty`() throws {
        let (repository, other) = (try TemporaryRepository(), try TemporaryRepository())
        defer {
            repository.remove()
            other.remove()
        }
        try other.write("1", to: "a")
        try other.commit()
        try repository.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", other.folder, "libs/other")
        try repository.commit()
        let found = try GitRepository.find(repository.folder, environment: repository.environment)
        #expect(try found.submodules() == ["libs/other"])
        let checkout = try GitCheckout.make(found, environment: repository.environment)
        defer { checkout.release() }
        #expect(access("\(checkout.folder)/libs/other", F_OK) == 0)
        #expect(access("\(checkout.folder)/libs/other/a", F_OK) != 0)
    }

    @Test func `a checkout of another repository goes when it was not used for a month, and none that is in use`() throws {
        let (old, used, other) = (try TemporaryRepository(), try TemporaryRepository(), try TemporaryRepository())
        defer { for repository in [old, used, other] { repository.remove() } }
        for repository in [old, used, other] {
            try repository.write("one\n", to: "a")
            try repository.commit()
        }
        func make(_ repository: TemporaryRepository) throws -> GitCheckout {
            // They share the user's cache.
            let found = try GitRepository.find(repository.folder, environment: repository.environment)
            return try GitCheckout.make(found, environment: other.environment)
        }
        let gone = try make(old)
        gone.release()
        let kept = try make(used)
        defer { kept.release() }
        for checkout in [gone, kept] {
            let lock = checkout.folder.dropLast("/tree".count) + "/lock"
            let past = timespec(tv_sec: time(nil) - Int(GitCheckout.retention) - 60, tv_nsec: 0)
            #expect(utimensat(AT_FDCWD, String(lock), [past, past], 0) == 0)
        }
        try make(other).release()
        #expect(access(gone.folder, F_OK) != 0)
        #expect(TemporaryRepository.text("\(kept.folder)/a") == "one\n")
        // It comes back by itself.
        let again = try make(old)
        defer { again.release() }
        #expect(TemporaryRepository.text("\(again.folder)/a") == "one\n")
    }
}
