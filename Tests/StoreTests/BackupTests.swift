import BuildPlan
import Digests
import FarmAPI
import FoundationEssentials
import GRDB
import Glibc
import Testing

@testable import Store

@Suite("Copies of the store", .timeLimit(.minutes(1))) struct BackupTests {
    @Test func `a copy is taken as of one moment while others write, and is whole`() async throws {
        try await TestStore.withFile { path in
            let store = try TestStore.open(path)
            // Each build with its events is one group: a copy has all of them or none.
            let writing = Task {
                for number in 0..<400 { try await store.write(TestStore.ended("b\(number)", at: Int64(number), events: 20)).durable() }
            }
            while try await store.builds(limit: 20).count < 20 { await Task.yield() }
            try StoreCopy.write(of: path, to: path + ".copy", now: Timestamp(seconds: 600))
            let facts = try StoreCopy.inspect(path + ".copy")
            #expect(facts.takenAt == Timestamp(seconds: 600))
            #expect(facts.builds >= 20)
            let copy = try DatabaseQueue(path: path + ".copy")
            let events = try await copy.read { db in try Int.fetchOne(db, sql: "SELECT count(*) FROM event") }
            #expect(events == facts.builds * 20)
            try copy.close()
            try await writing.value
            try await store.close()
        }
    }

    @Test func `what is there is not overwritten, and what is no store is refused`() async throws {
        try await TestStore.withFile { path in
            #expect { try StoreCopy.write(of: path, to: path + ".copy", now: .epoch) } throws: { "\($0)".contains("no database") }
            let store = try TestStore.open(path)
            try await store.close()
            try Data("mine".utf8).write(to: URL(filePath: path + ".copy"))
            #expect { try StoreCopy.write(of: path, to: path + ".copy", now: .epoch) } throws: { "\($0)".contains("there already") }
            #expect(try Data(contentsOf: URL(filePath: path + ".copy")) == Data("mine".utf8))
            #expect { try StoreCopy.inspect(path) } throws: { "\($0)".contains("no backup") }
        }
    }

    @Test func `a copy that is opened ends what was under way and numbers on far above`() async throws {
        try await TestStore.withFile { path in
            let store = try TestStore.open(path)
            var open = TestStore.build("open")
            open.status = .running
            var stage = StoredStage(build: "open", number: 0, name: "m")
            stage.status = .running
            try await store.write([
                .insert(open), .update(open), .put(stage), .put(StoredStep(build: "open", stage: 0, number: 0, name: "s")),
                .append(BuildEvent(sequence: 1, time: .epoch, kind: .warning(text: "w")), to: "open"), .put(TestStore.agent("x")),
                .insert(StoredAssignment(id: "a", build: "open", stage: 0, agent: "x", epoch: "e", attempt: 1, firstStep: 0)),
                .put(StoredLock(lock: "l", assignment: "a", agent: "x", needs: [], forks: [])), .put(TestStore.volume("v", head: 7)),
                .put(TestStore.volume("gone", head: 9, removed: 9)),
            ]).durable()
            try StoreCopy.write(of: path, to: path + ".copy", now: Timestamp(seconds: 6000))
            let restored = try TestStore.open(path + ".copy", now: Timestamp(seconds: 6100))
            let floor = 9 + Restoration.leastGap + 100 * Restoration.gapPerSecond
            #expect(restored.restoration == Restoration(takenAt: Timestamp(seconds: 6000), endedBuilds: 1, generationFloor: floor))
            let state = try await restored.load()
            #expect(state.builds.isEmpty && state.assignments.isEmpty && state.locks.isEmpty)
            #expect(state.generationFloor == floor)
            let build = try #require(try await restored.build("open"))
            #expect(build.status == .failed && build.finishedAt == Timestamp(seconds: 6100))
            #expect(build.failure?.message.contains("restored") == true)
            let rows = try await restored.stages(of: "open")
            #expect(rows.stages.map(\.status) == [.cancelled] && rows.steps.map(\.status) == [.cancelled])
            let events = try await restored.events(of: "open", after: 0, limit: 10)
            guard events.count == 2, case .finished(status: .failed, _, _, _) = events[1].kind else {
                Issue.record("\(events)")
                return
            }
            try await restored.close()
            // Only once; and a backup of what was restored numbers on above that.
            let again = try TestStore.open(path + ".copy")
            #expect(again.restoration == nil)
            #expect(try await again.load().generationFloor == floor)
            try await again.close()
            // The original was left alone.
            #expect(try await store.load().builds.count == 1)
            try await store.close()
        }
    }

    @Test func `damage is found by a check, and nothing new is begun then`() async throws {
        try await TestStore.withFile { path in
            var store = try TestStore.open(path)
            for number in 0..<50 { try await store.write(TestStore.ended("b\(number)", at: 1, events: 50)).durable() }
            #expect(try await store.check() == nil)
            #expect(store.trouble == nil)
            try await store.close()
            #expect(try StoreCopy.problems(of: path, limit: 10).isEmpty)
            // A few pages in the middle are what a bad disk gave back.
            let file = Glibc.open(path, O_WRONLY)
            let rot = [UInt8](repeating: 0xA5, count: 4 * 4096)
            #expect(pwrite(file, rot, rot.count, 40 * 4096) == rot.count)
            Glibc.close(file)
            #expect(try !StoreCopy.problems(of: path, limit: 10).isEmpty)
            #expect { try StoreCopy.write(of: path, to: path + ".copy", now: .epoch) } throws: {
                "\($0)".contains("damaged") || "\($0)".contains("can't be used")
            }
            #expect(!FileManager.default.fileExists(atPath: path + ".copy"))
            store = try TestStore.open(path)
            #expect(try await store.check() != nil)
            #expect(store.trouble?.contains("backup") == true)
            try? await store.close()
        }
    }

    @Test func `a row that no coordinator can read is found`() async throws {
        try await TestStore.withFile { path in
            let store = try TestStore.open(path)
            try await store.write(TestStore.ended("b", at: 1, events: 3)).durable()
            try await store.pool.write { db in try db.execute(sql: "UPDATE event SET body = '{}' WHERE sequence = 2") }
            try await store.close()
            let problems = try StoreCopy.problems(of: path, limit: 10)
            #expect(problems.count == 1 && problems[0].contains("event"))
        }
    }

    @Test func `only what ended without closing the file was left open`() async throws {
        try await TestStore.withFile { path in
            let first = try TestStore.open(path)
            #expect(!first.wasLeftOpen)
            try await first.write(TestStore.ended("b", at: 1, events: 3)).durable()
            // As after SIGKILL: its log is there.
            let second = try TestStore.open(path)
            #expect(second.wasLeftOpen)
            try await second.close()
            try await first.close()
            let third = try TestStore.open(path)
            #expect(!third.wasLeftOpen)
            try await third.close()
        }
    }

    @Test func `who does not want to wait hears at once that nothing can be written, and what was given is stored when it is not`()
        async throws
    {
        try await TestStore.withFile { path in
            let store = try TestStore.open(path)
            // Somebody else has the file for himself: to who writes that is the same as a disk that is full.
            var configuration = Configuration()
            configuration.allowsUnsafeTransactions = true
            let other = try DatabaseQueue(path: path, configuration: configuration)
            try await other.writeWithoutTransaction { db in try db.execute(sql: "BEGIN IMMEDIATE") }
            let first = store.write(TestStore.ended("first", at: 1, events: 5))
            await #expect(throws: StoreError.self) { try await first.durable(patiently: false) }
            #expect(store.trouble?.contains("free some space") == true)
            let second = store.write(TestStore.ended("second", at: 1, events: 2))
            await #expect(throws: StoreError.self) { try await second.durable(patiently: false) }
            // Who has to end does not wait for it either.
            await #expect(throws: StoreError.self) { try await store.close() }
            try await other.writeWithoutTransaction { db in try db.execute(sql: "ROLLBACK") }
            try await first.durable()
            try await second.durable(patiently: false)
            #expect(store.trouble == nil)
            #expect(try await store.builds(limit: 10).map(\.id).sorted() == ["first", "second"])
            try other.close()
            try await store.close()
        }
    }
}
