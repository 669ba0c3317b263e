import BlockingIO
import BuildPlan
import Daemon
import Digests
import FarmAPI
import Glibc
import Logging
import NIOCore
import Store
import Transport

/// The base images that were imported: their rows in the store, their layers as uncompressed archives on the disk.
final class ImageLibrary: ImageAccess {
    private let layout: DataLayout
    private let store: Store
    private let disk: DiskReserve
    private let limit: Int64
    private let log: Logger
    /// One import or removal at a time: a removal must not take a layer that an import is about to name.
    private let turn = Turn()

    /// Empties what was left of uploads, and removes layers that no image names.
    init(layout: DataLayout, store: Store, disk: DiskReserve, limit: Int64, log: Logger) async throws {
        self.layout = layout
        self.store = store
        self.disk = disk
        self.limit = limit
        self.log = log
        try await BlockingPool.shared.run {
            for name in try FileAccess.names(in: layout.staging) { try FileAccess.removeTree("\(layout.staging)/\(name)") }
        }
        try await sweep()
    }

    // MARK: What the engine asks

    func image(named name: String, platform: Platform) async throws -> BaseImage? {
        guard var image = try await store.image(named: ImageName.shortest(name), platform: platform)?.image else { return nil }
        image.name = name
        return image
    }

    func layersAtCoordinator() async throws -> Set<Digest> {
        let layers = layout.layers
        return try await BlockingPool.shared.run { Set(try FileAccess.names(in: layers).compactMap { Digest(hex: $0) }) }
    }

    // MARK: What clients ask

    func list() async throws -> [ImageDescription] { try await store.images().map(Self.describe) }

    /// Takes an archive and makes it the image of that name, in place of another of the same name and platform.
    ///
    /// Nothing is there before everything is; a failure leaves no trace.
    ///
    /// - Parameter platform: chosen in an archive of several, and that of a root file system; nil for this machine's.
    func receive(_ name: ImageName, archive: InboundBody, platform: Platform?) async throws -> ImageDescription {
        let staging = "\(layout.staging)/\(RandomName.make())"
        do {
            let image = try await receive(name, archive: archive, platform: platform, staging: staging)
            await remove(staging)
            return image
        } catch {
            await remove(staging)
            throw error
        }
    }

    private func receive(
        _ name: ImageName, archive: InboundBody, platform: Platform?, staging: String
    ) async throws -> ImageDescription {
        let (disk, layers) = (self.disk, layout.layers)
        try disk.check()
        try await BodyBridge.read(archive, limit: limit) { source in
            try FileAccess.makeDirectories(staging, mode: 0o700)
            try FileAccess.write(GuardedSource(source, disk: disk), to: "\(staging)/upload")
        }
        let found = try await BodyBridge.pool.run {
            try ImageArchive("\(staging)/upload", layersTo: "\(staging)/layers", platform: platform ?? .ofThisMachine)
        }
        // Builds look for images by the short form.
        let actual = found.platform.normalized
        if let platform, platform.normalized != actual {
            throw RouteError.badRequest("the image is for \(actual), not for \(platform)")
        }
        return try await turn.take {
            try await BlockingPool.shared.run { try found.moveLayers(to: layers) }
            let row = StoredImage(
                image: BaseImage(
                    name: name.description, platform: actual, config: found.config, history: found.history, layers: found.layers),
                bytes: found.layers.reduce(0) { $0 + $1.size }, importedAt: .now)
            try await self.store.put(row)
            try await self.sweep()
            self.log.notice(
                "image imported", metadata: ["image": "\(name)", "platform": "\(actual)", "layers": "\(found.layers.count)"])
            return Self.describe(row)
        }
    }

    /// Throws ``RouteError/notFound(_:)`` when there is no such image. Builds that run keep what their agents have fetched.
    func remove(_ name: ImageName) async throws {
        try await turn.take {
            guard try await !self.store.removeImage(named: name.description).isEmpty else {
                throw RouteError.notFound("there is no image '\(name)'")
            }
            try await self.sweep()
            self.log.notice("image removed", metadata: ["image": "\(name)"])
        }
    }

    // MARK: What agents fetch

    /// A layer's uncompressed archive.
    func layer(_ diffID: Digest) async throws -> ServerResponse {
        let path = "\(layout.layers)/\(diffID.hex)"
        guard let file = try await BlockingPool.shared.run({ try ReadableFile(path) }) else {
            throw RouteError.notFound("layer \(diffID) is not here")
        }
        return ServerResponse(
            status: 200, headers: [HeaderField("content-type", "application/x-tar")],
            body: .stream(length: Int(file.size)) { writer in
                while let chunk = try await BlockingPool.shared.run({ try file.next() }) { try await writer.write(chunk) }
            })
    }

    // MARK: Inside

    /// Removes the archives of layers that no image has any more.
    private func sweep() async throws {
        let wanted = Set(try await store.images().flatMap { $0.image.layers.map(\.diffID) })
        let layers = layout.layers
        try await BlockingPool.shared.run {
            for name in try FileAccess.names(in: layers) {
                if let diffID = Digest(hex: name), wanted.contains(diffID) { continue }
                try FileAccess.removeTree("\(layers)/\(name)")
            }
        }
    }

    private func remove(_ staging: String) async {
        do { try await BlockingPool.shared.run { try FileAccess.removeTree(staging) } } catch {
            log.error("an upload's remains can't be removed", metadata: ["path": "\(staging)", "error": "\(error)"])
        }
    }

    private static func describe(_ row: StoredImage) -> ImageDescription {
        ImageDescription(
            name: row.image.name, platform: row.image.platform, bytes: row.bytes, layers: row.image.layers.count, importedAt: row.importedAt
        )
    }
}

/// A file that is read from its beginning, in pieces, by one reader.
private final class ReadableFile: Sendable {
    /// Few trips to a thread for each megabyte, and little memory for each of many readers.
    private static let chunk = 512 << 10

    let size: Int64
    private let descriptor: Int32

    /// Nil when there is no such file.
    init?(_ path: String) throws {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            if errno == ENOENT { return nil }
            throw SetupError.failed("read", path, errno)
        }
        var info = stat()
        guard fstat(descriptor, &info) == 0 else {
            let code = errno
            close(descriptor)
            throw SetupError.failed("read", path, code)
        }
        self.descriptor = descriptor
        size = Int64(info.st_size)
    }

    deinit { close(descriptor) }

    /// The next bytes, nil at the end.
    func next() throws -> ByteBuffer? {
        var buffer = ByteBuffer()
        buffer.reserveCapacity(Self.chunk)
        let count = buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: Self.chunk) {
            max(0, Glibc.read(descriptor, $0.baseAddress, $0.count))
        }
        return count == 0 ? nil : buffer
    }
}

/// Lets one caller at a time through, in order.
actor Turn {
    private var last: Task<Void, Never>?

    /// Runs `body` when all that came before have ended. Cancelling the caller does not stop a body that has begun.
    func take<T: Sendable>(_ body: @escaping @Sendable () async throws -> T) async throws -> T {
        let before = last
        let task = Task {
            await before?.value
            return try await body()
        }
        last = Task { _ = try? await task.value }
        return try await task.value
    }
}
