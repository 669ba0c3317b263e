import BlockingIO
import BuildPlan
import FarmAPI
import Glibc
import NIOCore
import OCI
import Transport

/// `farm image import NAME FILE`: an archive, a layout folder or a root file system becomes a base image of the farm.
public struct ImageImportCommand: Sendable {
    private let settings: ClientSettings

    public init(settings: ClientSettings) { self.settings = settings }

    /// Streams the file to the coordinator, which checks it. A folder is sent as a tar.
    ///
    /// - Parameter platform: which one of an image of several, and what a root file system is for; nil for the coordinator's own.
    public func run(name: String, file: String, platform: Platform? = nil) async throws {
        var status = stat()
        guard stat(file, &status) == 0 else { throw ClientError.usage("\(file): \(String(cString: strerror(errno)))") }
        let isFolder = status.st_mode & S_IFMT == S_IFDIR
        if isFolder, access("\(file)/oci-layout", F_OK) != 0 {
            throw ClientError.usage("\(file) is a folder without an oci-layout file: pack a root file system as a tar first")
        }
        let description = try await Listings(settings: settings).asking { api in
            let pipe = BytePipe(capacity: 4 << 20)
            async let reading: Void = BlockingPool.shared.run {
                do {
                    if isFolder { try LocalOutput.pack(folder: file, to: pipe) } else { try Self.read(file, into: pipe) }
                    pipe.finish()
                } catch {
                    pipe.finish(throwing: error)
                }
            }
            let body = OutboundBody.stream(length: nil) { writer in
                while let bytes = try await pipe.next() { try await writer.write(ByteBuffer(bytes: bytes)) }
            }
            do {
                let target =
                    "/api/v1/images?name=\(percentEncoded(name))"
                    + (platform.map { "&platform=\(percentEncoded($0.description))" } ?? "")
                let answer = try await api.send("PUT", target, body: body, deadline: nil).body
                let image = try FarmJSON.decode(ImageDescription.self, from: try await answer.collect(upTo: APIClient.answerLimit))
                try await reading
                return image
            } catch {
                pipe.abandon()
                try? await reading
                // The coordinator knows no name of what it refuses.
                if let error = error as? RequestFailed { throw ClientError.failed("\(file): \(error.message)") }
                throw error
            }
        }
        Screen.write(
            "imported \(description.name): \(description.layers) \(description.layers == 1 ? "layer" : "layers"), \(Human.bytes(description.bytes)), \(description.platform)\n"
        )
    }

    private static func read(_ file: String, into pipe: BytePipe) throws {
        let descriptor = open(file, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw ClientError.failed("\(file): \(String(cString: strerror(errno)))") }
        defer { close(descriptor) }
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 << 10, alignment: 16)
        defer { buffer.deallocate() }
        while true {
            let count = Glibc.read(descriptor, buffer.baseAddress, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw ClientError.failed("\(file): \(String(cString: strerror(errno)))") }
            if count == 0 { return }
            try pipe.write(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        }
    }
}
