import CLinux
import Glibc

/// Makes the places to mount on that an image lacks, without a trace in the step's layer.
///
/// They are put into a layer of their own that is mounted between the image's and the step's upper: what is there was never written
/// by the step, so the upper has nothing of it. Directories on the way that the image has are mirrored with their attributes, since
/// overlayfs shows those of the topmost.
struct MountPoints {
    /// A place that must be there.
    struct Point {
        /// Resolved inside the root.
        var path: String
        var isDirectory: Bool
    }

    /// The tree of the image, mounted.
    let root: String
    /// The layer that is made.
    let layer: String
    private(set) var created: [String] = []

    init(root: String, layer: String) throws(SandboxError) {
        self.root = root
        self.layer = layer
    }

    /// True if something had to be made: then the layer must be mounted.
    var isNeeded: Bool { !created.isEmpty }

    /// Makes the place where the image lacks it.
    mutating func add(_ point: Point) throws(SandboxError) {
        let components = point.path.split(separator: "/").map(String.init)
        guard !components.isEmpty, !Files.exists(root + point.path) else { return }
        if !isNeeded {
            try Files.makeDirectory(layer)
            try check(clinux_copy_directory_attributes(root, layer), "copy the attributes of", root)
        }
        var path = ""
        for (index, component) in components.enumerated() {
            path += "/" + component
            let isLast = index == components.count - 1
            if Files.exists(layer + path) { continue }
            if Files.exists(root + path) {
                guard Files.isDirectory(root + path) else { throw .badMount(target: point.path, reason: "\(path) is not a directory") }
                try Files.makeDirectory(layer + path)
            } else if isLast && !point.isDirectory {
                try Files.write([], to: layer + path)
                created.append(path)
            } else {
                try Files.makeDirectory(layer + path)
                chmod(layer + path, 0o755)
                created.append(path)
            }
        }
        try mirrorAttributes(of: components)
    }

    // From the deepest up, since making an entry changes the time of its directory.
    private func mirrorAttributes(of components: [String]) throws(SandboxError) {
        for count in (0..<components.count).reversed() {
            let path = count == 0 ? "" : "/" + components[..<count].joined(separator: "/")
            guard Files.exists(root + path) else { continue }
            try check(clinux_copy_directory_attributes(root + path, layer + path), "copy the attributes of", root + path)
        }
    }

    /// Takes whiteouts of what was made here out of the upper: below it there is nothing to hide.
    func clean(upper: String) {
        for path in created where clinux_is_whiteout(upper + path) == 1 { unlink(upper + path) }
    }
}
