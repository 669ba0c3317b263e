import BlockingIO
import CLinux
import Digests
import Glibc

/// The files of an image on disk: a layout folder or an unpacked archive. Links in it lead nowhere out of it.
final class ImageFolder {
    private let root: Descriptor

    init(_ path: String) throws { root = try Descriptor.directory(path) }

    /// True if there is such a regular file.
    func has(_ path: String) -> Bool { (try? open(path)) != nil }

    func open(_ path: String) throws -> Descriptor {
        let number = root.use { root in
            clinux_openat2(
                root, path, UInt64(O_RDONLY | O_CLOEXEC | O_NONBLOCK), 0, UInt64(CLINUX_RESOLVE_IN_ROOT | CLINUX_RESOLVE_NO_MAGICLINKS))
        }
        guard number >= 0 else { throw ImageError.damaged(reason: "it has no readable '\(path)'") }
        let file = Descriptor(owning: number)
        var status = stat()
        guard file.use({ fstat($0, &status) }) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw ImageError.damaged(reason: "'\(path)' is no file")
        }
        return file
    }

    /// A whole small file.
    func document(_ path: String) throws -> [UInt8] {
        let limit = ImageDocuments.maximumSize
        let bytes = try open(path).use { file in
            try [UInt8](unsafeUninitializedCapacity: limit + 1) { buffer, count in
                count = try FileSource(file).readFully(into: UnsafeMutableRawBufferPointer(buffer))
            }
        }
        guard bytes.count <= limit else { throw ImageError.damaged(reason: "'\(path)' is larger than \(limit) bytes") }
        return bytes
    }

    /// The path of a blob; throws for digests that are not SHA-256.
    static func blobPath(_ digest: String) throws -> (path: String, digest: Digest) {
        guard let value = Digest(digest) else { throw ImageError.unsupported(reason: "'\(digest)' is no sha256 digest") }
        return ("blobs/sha256/\(value.hex)", value)
    }

    /// A small blob, verified.
    func blob(_ descriptor: ImageDocuments.Descriptor) throws -> [UInt8] {
        let (path, digest) = try Self.blobPath(descriptor.digest)
        let bytes = try document(path)
        guard Digest.of(bytes) == digest else { throw ImageError.damaged(reason: "the content of '\(path)' has another digest") }
        return bytes
    }
}
