import Digests

/// Puts the Merkle tree together from what the threads of a scan found.
struct ScanResult {
    private let nodes: [ScanNode]
    private let workers: [ScanWorker]

    /// - Parameter nodes: all directories, parents before their children, the root first.
    init(nodes: [ScanNode], workers: [ScanWorker]) {
        self.nodes = nodes
        self.workers = workers
    }

    /// Encodes and hashes all directories, children first.
    func tree(directory: FileDescriptor) -> ContextTree {
        for large in workers.flatMap(\.large) {
            large.node.files[large.file].digest = large.digest
            large.node.files[large.file].status = large.status
        }
        var objects: [Digest: [UInt8]] = [:]
        var files: [Digest: ContextTree.File] = [:]
        objects.reserveCapacity(nodes.count)
        files.reserveCapacity(nodes.reduce(0) { $0 + $1.files.count })
        var entryCount = 0
        var children: [ObjectIdentifier: [TreeEntry]] = [:]
        var root = Digest.of("")
        for node in nodes.reversed() {
            var entries = children.removeValue(forKey: ObjectIdentifier(node)) ?? []
            entries.append(contentsOf: node.others)
            for file in node.files {
                guard let digest = file.digest else { continue }
                let content = TreeEntry.Content.file(digest, size: UInt64(file.status.size))
                entries.append(TreeEntry(name: file.name, mode: file.status.mode, modified: file.status.modified, content: content))
                if files[digest] == nil {
                    files[digest] = ContextTree.File(path: joined(node.path, file.name), size: file.status.size, status: file.status)
                }
            }
            if entries.isEmpty, !node.isKept { continue }
            entryCount += entries.count
            let bytes = TreeObject(entries: entries).encoded()
            let digest = Digest.of(bytes)
            objects[digest] = bytes
            guard let parent = node.parent, let status = node.status else {
                root = digest
                continue
            }
            let entry = TreeEntry(name: node.name, mode: status.mode, modified: status.modified, content: .directory(digest))
            children[ObjectIdentifier(parent), default: []].append(entry)
        }
        let hashedCount = workers.reduce(0) { $0 + $1.hashedCount }
        return ContextTree(
            root: root, objects: objects, files: files, entryCount: entryCount, hashedCount: hashedCount, directory: directory)
    }
}
