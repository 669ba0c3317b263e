import Glibc
import TreeSync

/// An overlay of a volume's generation and one directory for what steps write.
///
/// On disk: `upper`, `work` and the mount point `merged` in a staging directory of the volume.
struct OverlayMount: Sendable {
    static let mergedName = "merged"

    let directory: String
    var upper: String { directory + "/upper" }
    var merged: String { directory + "/" + Self.mergedName }

    /// mount(2) takes one page of options.
    private static let optionLimit = 4095
    /// Steps end with all their processes; what still keeps the mount busy is the kernel finishing up.
    private static let unmountAttempts = 100
    private static let unmountPause: UInt32 = 20_000

    /// Makes the directories; `root` gives the upper's, and so the mount's, owner, mode, times and attributes.
    ///
    /// - Parameter directory: is there, and empty.
    init(preparing directory: String, root: TreeEntry) throws {
        self.directory = directory
        try VolumeFiles.makeDirectory(upper)
        try VolumeFiles.makeDirectory(directory + "/work")
        try VolumeFiles.makeDirectory(merged)
        try setRoot(root)
    }

    /// Sets the upper's own metadata.
    func setRoot(_ root: TreeEntry) throws { try DeltaDirectory.setRoot(of: upper, root) }

    /// - Parameter layers: the lowest first; at least one.
    func mount(layers: [String]) throws {
        let lower = layers.reversed().map(Self.escaped).joined(separator: ":")
        // As layers of images: an upper has to stand for itself. `volatile`: what steps sync is nothing before it is published,
        // and then it is synced by the store.
        let options =
            "lowerdir=\(lower),upperdir=\(Self.escaped(upper)),workdir=\(Self.escaped(directory + "/work")),"
            + "index=off,redirect_dir=off,metacopy=off,xino=off,volatile"
        guard options.utf8.count <= Self.optionLimit else { throw VolumeError.system(operation: "mounting", path: merged, code: E2BIG) }
        guard Glibc.mount("overlay", merged, "overlay", UInt(MS_NODEV | MS_NOATIME), options) == 0 else {
            throw VolumeError.last("mounting an overlay at", merged)
        }
    }

    /// Blocks for up to two seconds while it is busy.
    func unmount() throws {
        for _ in 0..<Self.unmountAttempts {
            if umount2(merged, 0) == 0 { return }
            guard errno == EBUSY else { throw VolumeError.last("unmounting", merged) }
            usleep(Self.unmountPause)
        }
        throw VolumeError.busy(path: merged)
    }

    /// Takes the mount away, also from those who still use it.
    func detach() { umount2(merged, Int32(MNT_DETACH)) }

    private static func escaped(_ path: String) -> String {
        var escaped = ""
        for character in path {
            if character == ":" || character == "," || character == "\\" { escaped.append("\\") }
            escaped.append(character)
        }
        return escaped
    }
}
