import Testing

@testable import BuildPlan

struct UserFilesTests {
    @Test func `users have a name, two numbers and maybe a home`() {
        let users = UserFiles.users(in: Array("root:x:0:0:root:/root:/bin/sh\n\nann:x:1000:100".utf8))
        #expect(
            users == [
                UserFiles.User(name: "root", uid: 0, gid: 0, home: "/root"), UserFiles.User(name: "ann", uid: 1000, gid: 100, home: ""),
            ])
    }

    @Test func `groups have members or none`() {
        let groups = UserFiles.groups(in: Array("root:x:0\nmakers:x:2000:ann,,bob\n".utf8))
        #expect(
            groups == [
                UserFiles.Group(name: "root", gid: 0, members: []), UserFiles.Group(name: "makers", gid: 2000, members: ["ann", "bob"]),
            ])
    }

    @Test(arguments: ["", "a", "a:x:1", ":x:1:1", "a:x:-1:1", "a:x:1:b", "a:x:4294967295:1", "a:x:99999999999:1", "a:x: 1:1", "\0:::"])
    func `a line that makes no sense is passed over`(_ line: String) {
        let users = UserFiles.users(in: Array("\(line)\nann:x:1:2\n".utf8))
        #expect(users.map(\.name) == ["ann"])
    }
}
