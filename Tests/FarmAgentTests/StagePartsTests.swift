import FileSteps
import FileTree
import Glibc
import Sandbox
import Synchronization
import Testing

@testable import FarmAgent

struct OutputDecoderTests {
    private func text(_ pieces: [[UInt8]]) -> String {
        var decoder = OutputDecoder()
        var text = ""
        for piece in pieces { piece.withUnsafeBytes { text += decoder.text(of: $0) ?? "" } }
        return text + (decoder.finish() ?? "")
    }

    @Test(arguments: ["plain", "größe", "日本語", "a🎉b🎉", ""]) func `characters that are cut anywhere come whole`(whole: String) {
        let bytes = Array(whole.utf8)
        for cut in 0...bytes.count { #expect(text([Array(bytes[..<cut]), Array(bytes[cut...])]) == whole) }
        #expect(text(bytes.map { [$0] }) == whole)
    }

    @Test(arguments: [[0xFF], [0xC3], [0xE3, 0x81], [0x80, 0x80, 0x80, 0x80], [0xC3, 0x28]] as [[UInt8]])
    func `what is no UTF-8 is repaired and nothing after it lost`(bytes: [UInt8]) {
        let result = text([bytes, Array("end".utf8)])
        #expect(result.hasSuffix("end"))
        #expect(result.contains("\u{FFFD}"))
    }

    @Test func `output without end is cut once`() {
        let piece = [UInt8](repeating: 65, count: 1 << 20)
        let result = text(Array(repeating: piece, count: 70))
        #expect(result.utf8.count < 66 << 20)
        #expect(result.hasSuffix("MiB]\n"))
    }
}

struct SlotsTests {
    private final class Count: Sendable {
        private let state = Mutex((now: 0, most: 0, done: 0))
        var most: Int { state.withLock { $0.most } }
        var done: Int { state.withLock { $0.done } }

        func enter() {
            state.withLock { state in
                state.now += 1
                state.most = max(state.most, state.now)
            }
        }

        func leave() {
            state.withLock { state in
                state.now -= 1
                state.done += 1
            }
        }
    }

    @Test func `no more run than there are slots, and all run`() async throws {
        let slots = Slots(3)
        let count = Count()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<50 {
                group.addTask {
                    try await slots.run {
                        count.enter()
                        await Task.yield()
                        count.leave()
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect(count.done == 50)
        #expect(count.most <= 3)
    }

    @Test func `who waits can be cancelled, and takes no slot`() async throws {
        let slots = Slots(1)
        let (hold, release) = AsyncStream<Void>.makeStream()
        let (held, isHeld) = AsyncStream<Void>.makeStream()
        let holder = Task {
            try await slots.run {
                isHeld.finish()
                for await _ in hold {}
            }
        }
        for await _ in held {}
        let waiter = Task { try await slots.run {} }
        waiter.cancel()
        await #expect(throws: CancellationError.self) { try await waiter.value }
        release.finish()
        try await holder.value
        try await slots.run {}
    }
}

struct StepFailureTests {
    @Test(
        arguments: [
            SandboxError.badUser("no such user"), SandboxError.badMount(target: "/a", reason: "b"), FileTreeError.notFound(path: "x"),
            FileStepError.unknownUser("bob"), FileStepError.system(operation: "link", path: [], code: ENAMETOOLONG),
        ] as [any Error]) func `a step's own faults are not tried elsewhere`(error: any Error)
    {
        #expect(StepFailure.classify(error) is StepFailure)
    }

    @Test(
        arguments: [
            SandboxError.noRuntime(tried: []), SandboxError.overlay(target: "/", error: ENOSPC, detail: ""),
            FileStepError.system(operation: "write", path: [], code: ENOSPC), FileStepError.contentsMissing(count: 1),
            AgentError.badAnswer("x"),
        ] as [any Error]) func `a machine's faults are`(error: any Error)
    { #expect(!(StepFailure.classify(error) is StepFailure)) }
}
