import BlockingIO
import FarmAPI
import Glibc
import NIOCore
import OCI
import Transport

/// Brings a build's result to this machine. What was begun and not ended leaves nothing behind.
struct Export: Sendable {
    let api: APIClient
    let build: String
    let tags: [String]

    /// Refuses what can't work before a build is started: two archives for one standard output, a terminal.
    static func check(_ outputs: [OutputSpec], standardOutputIsTerminal: Bool) throws(ClientError) {
        let toStandardOutput = outputs.count { $0.destination == .standardOutput && $0.form != .load }
        guard toStandardOutput <= 1 else { throw .usage("only one -o can go to standard output") }
        if toStandardOutput == 1, standardOutputIsTerminal {
            throw .usage("an archive would go to the terminal: give dest=FILE, or redirect standard output")
        }
    }

    func write(_ output: OutputSpec) async throws {
        switch (output.form, output.destination) {
        case (.archive(let type), .standardOutput): try await stream(type, to: STDOUT_FILENO)
        case (.archive(let type), .path(let path)): try await write(type, file: path)
        case (.local, .path(let path)): try await unpack(into: path)
        case (.load, _): try await load()
        case (.local, .standardOutput): throw ClientError.usage("-o type=local needs dest=FOLDER")
        }
    }

    private func open(_ type: ExportType) async throws -> InboundBody {
        var target = "/api/v1/builds/\(percentEncoded(build))/export?type=\(type.rawValue)"
        for tag in tags { target += "&tag=\(percentEncoded(tag))" }
        return try await api.send("GET", target, deadline: nil).body
    }

    private func stream(_ type: ExportType, to descriptor: Int32) async throws {
        for try await part in try await open(type) {
            try await BlockingPool.shared.run { try Self.write(part, to: descriptor) }
        }
    }

    private func write(_ type: ExportType, file path: String) async throws {
        // Beside the target, so that a rename makes it visible whole; in a folder where that can't be (a device, a pipe), directly.
        var status = stat()
        let special = stat(path, &status) == 0 && status.st_mode & S_IFMT != S_IFREG
        if special, status.st_mode & S_IFMT == S_IFDIR { throw ClientError.usage("-o dest=\(path): that is a folder; name a file") }
        let aside = special ? path : "\(path).farm-\(getpid())"
        let descriptor = Glibc.open(aside, O_WRONLY | O_CREAT | (special ? 0 : O_EXCL) | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw ClientError.failed("\(path) can't be written: \(Self.reason())") }
        do {
            defer { close(descriptor) }
            try await stream(type, to: descriptor)
        } catch {
            if !special { unlink(aside) }
            throw error
        }
        guard special || rename(aside, path) == 0 else {
            let reason = Self.reason()
            unlink(aside)
            throw ClientError.failed("\(path) can't be written: \(reason)")
        }
    }

    private func unpack(into folder: String) async throws {
        guard mkdir(folder, 0o755) == 0 || errno == EEXIST else { throw ClientError.failed("\(folder) can't be made: \(Self.reason())") }
        let pipe = BytePipe(capacity: 4 << 20)
        async let unpacked: Void = BlockingPool.shared.run {
            do {
                try LocalOutput.unpack(from: pipe, into: folder)
            } catch {
                pipe.abandon()
                throw error
            }
        }
        do {
            for try await part in try await open(.tar) { try await pipe.send(Array(part.readableBytesView)) }
            pipe.finish()
        } catch PipeError.abandoned {
        } catch {
            pipe.finish(throwing: error)
            try? await unpacked
            throw error
        }
        try await unpacked
    }

    /// Pipes a Docker archive into `docker load`, or `podman load`.
    private func load() async throws {
        guard let program = ["docker", "podman"].first(where: ChildProcess.isOnPath) else {
            throw ClientError.failed("--load: neither docker nor podman is on the PATH; -o type=docker,dest=FILE writes the archive")
        }
        let child = try ChildProcess.start([program, "load"], pipedInput: true, output: .standardError)
        do {
            try await stream(.docker, to: child.input)
            child.closeInput()
        } catch {
            child.closeInput()
            child.signal(SIGTERM)
            _ = try? await child.wait()
            throw error
        }
        let status = try await child.wait()
        guard status == 0 else { throw ClientError.failed("'\(program) load' failed with exit code \(status)") }
    }

    private static func write(_ buffer: ByteBuffer, to descriptor: Int32) throws {
        var bytes = buffer.readableBytesView[...]
        while !bytes.isEmpty {
            let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw ClientError.failed("the result can't be written: \(reason())") }
            bytes = bytes.dropFirst(count)
        }
    }

    private static func reason() -> String { String(cString: strerror(errno)) }
}
