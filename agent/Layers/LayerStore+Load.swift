import Digests
import FileTree
import Glibc
import OCI

extension LayerStore {
    /// Finds the layers of the directory; only called before anyone else has the store.
    func load() throws {
        let root = try FileDescriptor(Array(directory.utf8), flags: O_RDONLY | O_DIRECTORY)
        var directories: Set<String> = []
        var files: [String] = []
        for name in try DirectoryListing.names(in: root) {
            let name = String(decoding: name, as: UTF8.self)
            if name == "tmp" || name == Self.formatName { continue }
            if name.contains(".") { files.append(name) } else { directories.insert(name) }
        }
        for name in directories {
            guard Int(name, radix: 36) != nil, let record = LayerRecord.read(recordPath(name)), isWhole(name, record) else {
                directories.remove(name)
                try delete(name)
                continue
            }
            let modified = try FileDescriptor(Array(recordPath(name).utf8)).status().modified
            let archived = record.keepsArchive ? try FileDescriptor(Array(archivePath(name).utf8)).status().size : 0
            let entry = Entry(name: name, record: record, bytes: record.layer.size + archived, lastUse: modified)
            state.withLock { $0.layers[record.layer.diffID] = entry }
        }
        for name in directories where files.contains(name + Self.contentsSuffix) { contents.add(name) }
        for file in files where !directories.contains(String(file.prefix { $0 != "." })) { try TreeRemoval.remove(directory + "/" + file) }
        state.withLock { state in state.nextName = 1 + (directories.compactMap { Int($0, radix: 36) }.max() ?? 0) }
    }

    // After a loss of power a layer that was not synchronized may have files without their content.
    private func isWhole(_ name: String, _ record: LayerRecord) -> Bool {
        if record.keepsArchive, access(archivePath(name), R_OK) != 0 { return false }
        guard let made = record.unsynchronizedBoot, made != boot else { return true }
        if record.keepsArchive { return false }
        let found = try? LayerArchive.write(directory: directory + "/" + name, form: .overlayUpper, to: nil)
        return found == record.layer
    }

    /// Deletes what belongs to a name, its directory first: without it the rest is nothing.
    func delete(_ name: String) throws {
        let temporary = directory + "/" + temporaryName()
        guard rename(directory + "/" + name, temporary) == 0 || errno == ENOENT else { throw LayerStoreError.call("rename", name) }
        for path in [recordPath(name), archivePath(name), contentsPath(name)] { unlink(path) }
        try TreeRemoval.remove(temporary)
    }
}
