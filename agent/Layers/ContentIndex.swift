import Digests
import FileTree
import Glibc
import Synchronization

/// Which file contents lie in which layers, so that they need not be fetched again.
///
/// One file per layer, mapped when it is first asked: the number of entries (8 bytes, little-endian), their digests in order (32 bytes
/// each), the ends of their paths in what follows (4 bytes each, little-endian), the paths without separators. A lookup is a binary
/// search in each layer.
final class ContentIndex: Sendable {
    private struct State {
        /// Short names of layers with an index, newest first.
        var names: [String] = []
        /// Those that were opened; nil for a damaged one.
        var tables: [String: ContentTable?] = [:]
        /// The layer of the last hit: a tree's files mostly lie together.
        var recent: String?
    }

    private let state = Mutex(State())

    /// Takes a layer's index into the search.
    func add(_ name: String) {
        state.withLock { state in
            state.names.append(name)
            // Names count upwards: the longer or, of equal length, the later one is newer.
            state.names.sort { ($0.utf8.count, $0) > ($1.utf8.count, $1) }
        }
    }

    /// Leaves a layer out of the search.
    func forget(_ name: String) {
        state.withLock { state in
            state.names.removeAll { $0 == name }
            state.tables[name] = nil
            if state.recent == name { state.recent = nil }
        }
    }

    /// The path of a content in the newest layer that has it, or in that of the last hit, with the layer's name.
    /// - Parameter path: of a layer's index.
    func find(_ digest: Digest, path: (String) -> String) -> (layer: String, file: [UInt8])? {
        let (names, recent) = state.withLock { ($0.names, $0.recent) }
        if let recent, let file = table(recent, path)?.path(of: digest) { return (recent, file) }
        for name in names where name != recent {
            guard let file = table(name, path)?.path(of: digest) else { continue }
            state.withLock { $0.recent = name }
            return (name, file)
        }
        return nil
    }

    private func table(_ name: String, _ path: (String) -> String) -> ContentTable? {
        state.withLock { state in
            if let table = state.tables[name] { return table }
            let table = ContentTable(path: path(name))
            state.tables[name] = .some(table)
            return table
        }
    }
}

/// A layer's index, mapped.
///
/// `@unchecked Sendable`: the mapping is read-only, of a file that is never written to again, and lives as long as this object.
private final class ContentTable: @unchecked Sendable {
    private let bytes: UnsafeRawBufferPointer
    private let count: Int

    /// nil for a file that is missing or damaged.
    init?(path: String) {
        guard let file = try? FileDescriptor(Array(path.utf8)), let size = try? file.status().size, size >= 8 else { return nil }
        let mapping = withExtendedLifetime(file) { mmap(nil, Int(size), PROT_READ, MAP_SHARED, file.number, 0) }
        guard let start = mapping, start != MAP_FAILED else { return nil }
        bytes = UnsafeRawBufferPointer(start: start, count: Int(size))
        let entries = UInt64(littleEndian: bytes.loadUnaligned(as: UInt64.self))
        count = Int(clamping: entries)
        let (length, overflow) = count.multipliedReportingOverflow(by: Digest.byteCount + 4)
        if overflow || length > bytes.count - 8 || end(count - 1) != bytes.count - 8 - length {
            // What is mapped is unmapped by deinit, since everything is initialized.
            return nil
        }
    }

    deinit { munmap(UnsafeMutableRawPointer(mutating: bytes.baseAddress), bytes.count) }

    func path(of digest: Digest) -> [UInt8]? {
        var low = 0
        var high = count
        while low < high {
            let middle = (low + high) / 2
            let order = digest.withUnsafeBytes { wanted -> Int32 in
                guard let wanted = wanted.baseAddress, let base = bytes.baseAddress else { return -1 }
                return memcmp(wanted, base + 8 + middle * Digest.byteCount, Digest.byteCount)
            }
            if order == 0 {
                let paths = 8 + count * (Digest.byteCount + 4)
                let start = paths + end(middle - 1)
                let stop = paths + end(middle)
                guard start <= stop, stop <= bytes.count else { return nil }
                return Array(bytes[start..<stop])
            }
            if order < 0 { high = middle } else { low = middle + 1 }
        }
        return nil
    }

    private func end(_ index: Int) -> Int {
        guard index >= 0 else { return 0 }
        return Int(UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 8 + count * Digest.byteCount + 4 * index, as: UInt32.self)))
    }
}
