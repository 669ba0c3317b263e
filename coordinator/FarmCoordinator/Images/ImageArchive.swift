import BuildPlan
import Digests
import OCI

/// What an uploaded archive turned out to be.
struct ImageArchive: Sendable {
    var platform: Platform
    var config: ImageConfig
    var history: [HistoryEntry]
    /// Lowest first; each is in the directory under the hexadecimal digits of its digest.
    var layers: [LayerDescriptor]

    /// Reads an OCI or Docker archive, or a root file system, and writes its layers uncompressed. Blocks.
    static func read(_ path: String, layersTo directory: String, disk: DiskReserve) throws -> ImageArchive {
        throw RouteError.unavailable("images can't be imported yet")
    }
}
