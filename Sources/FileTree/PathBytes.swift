import Glibc

/// Lends a path as the NUL-terminated string that system calls take. The path must not contain a NUL.
public func withPath<R>(_ path: some Collection<UInt8>, _ body: (UnsafePointer<CChar>) throws -> R) rethrows -> R {
    let count = path.count
    return try withUnsafeTemporaryAllocation(byteCount: count + 1, alignment: 1) { buffer in
        buffer.copyBytes(from: path)
        buffer[count] = 0
        // The buffer has at least the NUL, so that it has an address.
        guard let start = UnsafeRawPointer(buffer.baseAddress) else { preconditionFailure("a buffer without an address") }
        return try body(start.assumingMemoryBound(to: CChar.self))
    }
}

/// True if `a` stands before `b` in the order of their bytes: the order of names in every tree.
public func precedes(_ a: [UInt8], _ b: [UInt8]) -> Bool {
    a.withUnsafeBytes { left in
        b.withUnsafeBytes { right in
            let common = min(left.count, right.count)
            if common > 0, let x = left.baseAddress, let y = right.baseAddress {
                let order = memcmp(x, y, common)
                if order != 0 { return order < 0 }
            }
            return left.count < right.count
        }
    }
}

/// `directory/name`; one of them alone where the other is the empty path, which is the root or the directory itself.
public func joined(_ directory: [UInt8], _ name: [UInt8]) -> [UInt8] {
    guard !directory.isEmpty else { return name }
    guard !name.isEmpty else { return directory }
    var path = [UInt8]()
    path.reserveCapacity(directory.count + 1 + name.count)
    path.append(contentsOf: directory)
    path.append(UInt8(ascii: "/"))
    path.append(contentsOf: name)
    return path
}

/// The components of a path, without empty ones and `.`; `..` stays.
public func components(of path: some Sequence<UInt8>) -> [[UInt8]] {
    path.split(separator: UInt8(ascii: "/")).map { Array($0) }.filter { $0 != [UInt8(ascii: ".")] }
}
