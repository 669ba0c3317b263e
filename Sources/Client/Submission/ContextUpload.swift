import BlockingIO
import Digests
import FarmAPI
import FileTree
import NIOCore
import Transport

/// Sends what the coordinator lacks of a context: the tree's objects at the start, file contents when a step will read them.
struct ContextUpload: Sendable {
    let api: APIClient
    let tree: ContextTree

    /// Objects are sent in requests of about this size, so that none has to be held as a whole by the server.
    private static let batchSize = 4 << 20

    /// Asks which objects are missing and sends them.
    func sendObjects() async throws {
        let all = tree.objects.keys.sorted()
        let question = OutboundBody.bytes(ByteBuffer(bytes: all.flatMap { $0.bytes }))
        let answer = try await api.send("POST", "/api/v1/trees/missing", body: question).body.collect(upTo: all.count * Digest.byteCount)
        let missing = try Self.digests(in: answer)
        let objects = tree.objects
        let body = OutboundBody.stream(length: nil) { writer in
            var batch = ByteBuffer()
            for digest in missing {
                guard let object = objects[digest] else {
                    throw ClientError.failed("the coordinator asked for a folder that was not submitted")
                }
                batch.writeInteger(UInt32(object.count), endianness: .little)
                batch.writeBytes(object)
                if batch.readableBytes >= Self.batchSize {
                    try await writer.write(batch)
                    batch.clear()
                }
            }
            if batch.readableBytes > 0 { try await writer.write(batch) }
        }
        if !missing.isEmpty { _ = try await api.send("POST", "/api/v1/trees", body: body, deadline: nil).body.collect(upTo: 1 << 20) }
    }

    /// Sends all that the build needs, as soon as that is known: nobody is there later.
    func sendAllContents(for build: String) async throws {
        let base = "/api/v1/builds/\(percentEncoded(build))"
        while true {
            do {
                let answer = try await api.send("GET", base + "/needs?settled=true")
                let digests = try Self.digests(in: try await answer.body.collect(upTo: tree.files.count * Digest.byteCount))
                // 202: the plan is not made yet.
                if answer.status == 202 { continue }
                if digests.isEmpty { return }
                try await stream(digests, to: base + "/contents")
            } catch let error where ClientError.isTransient(error) {
                try await Task.sleep(for: .milliseconds(Int.random(in: 300...900)))
            }
        }
    }

    /// Asks which file contents are missing and streams them; tried again when the connection is lost on the way.
    func sendContents(for build: String) async throws {
        let base = "/api/v1/builds/\(percentEncoded(build))"
        while true {
            do {
                let limit = tree.files.count * Digest.byteCount
                let needs = try await api.send("GET", base + "/needs").body.collect(upTo: limit)
                let digests = try Self.digests(in: needs)
                if digests.isEmpty { return }
                try await stream(digests, to: base + "/contents")
                return
            } catch let error where ClientError.isTransient(error) {
                try await Task.sleep(for: .milliseconds(Int.random(in: 300...900)))
            }
        }
    }

    private func stream(_ digests: [Digest], to target: String) async throws {
        let pipe = BytePipe(capacity: 4 << 20)
        let tree = tree
        let failure = Failure()
        async let reading: Void = BlockingPool.shared.run {
            do {
                try tree.writeContents(digests, to: pipe)
                pipe.finish()
            } catch PipeError.abandoned {
                // The connection was lost: that is the reason, and may pass.
            } catch {
                failure.set(error)
                pipe.finish(throwing: error)
            }
        }
        let body = OutboundBody.stream(length: nil) { writer in
            while let bytes = try await pipe.next() { try await writer.write(ByteBuffer(bytes: bytes)) }
        }
        do {
            _ = try await api.send("POST", target, body: body, deadline: nil).body.collect(upTo: 1 << 20)
            try await reading
        } catch {
            pipe.abandon()
            try? await reading
            // A file that changed under us is the reason, not the request that it broke off.
            if let error = failure.error { throw ClientError.failed("\(error)") }
            throw error
        }
    }

    static func digests(in buffer: ByteBuffer) throws -> [Digest] {
        guard buffer.readableBytes % Digest.byteCount == 0 else { throw ClientError.failed("the coordinator's list of digests is cut off") }
        var buffer = buffer
        var digests: [Digest] = []
        while let bytes = buffer.readBytes(length: Digest.byteCount) {
            if let digest = Digest(bytes: bytes) { digests.append(digest) }
        }
        return digests
    }
}
