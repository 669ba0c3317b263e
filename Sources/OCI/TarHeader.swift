/// The header blocks of a canonical tar: ustar, with a pax header before it where ustar has no room (POSIX.1-2017, pax).
enum TarHeader {
    /// Every part of a tar is a multiple of this.
    static let blockSize = 512
    /// libarchive reads no longer pax header; no sensible file has one.
    static let maximumPaxLength = 1 << 20
    /// The first member of a canonical archive carries this as a pax comment, which readers skip: a receiver knows by it that the
    /// archive can be made again from the directory, and that it need not keep the bytes.
    static let canonicalComment = Array("farm canonical layer 1".utf8)
    /// The comment's whole record.
    static let canonicalRecord: [UInt8] = {
        var record: [UInt8] = []
        appendRecord("comment", canonicalComment, to: &record)
        return record
    }()
    static let typeOffset = 156

    private static let paxName = Array("PaxHeader".utf8)
    private static let nameLength = 100
    private static let prefixLength = 155
    private static let largestOctal7: UInt32 = 0o7_777_777
    private static let largestOctal11: Int64 = 0o77_777_777_777

    /// The header of one member, with its pax header where one is needed.
    static func encode(_ entry: TarEntry, canonicalMark: Bool) throws -> [UInt8] {
        var path = entry.path
        var linkTarget: [UInt8] = []
        var size: Int64 = 0
        var device: (major: UInt32, minor: UInt32) = (0, 0)
        let type: Character
        switch entry.kind {
        case .file(let count):
            type = "0"
            size = count
        case .hardLink(let target):
            type = "1"
            linkTarget = target
        case .symbolicLink(let target):
            type = "2"
            linkTarget = target
        case .characterDevice(let major, let minor):
            type = "3"
            device = (major, minor)
        case .blockDevice(let major, let minor):
            type = "4"
            device = (major, minor)
        case .directory:
            type = "5"
            path.append(UInt8(ascii: "/"))
        case .fifo: type = "6"
        }
        let split = splitName(path)
        var records: [UInt8] = []
        if canonicalMark { records += canonicalRecord }
        let longPath = split == nil
        let longTarget = linkTarget.count > nameLength
        if longPath && !isUTF8(path) || longTarget && !isUTF8(linkTarget) { appendRecord("hdrcharset", Array("BINARY".utf8), to: &records) }
        for attribute in entry.xattrs { appendRecord(Array("SCHILY.xattr.".utf8) + attribute.name, attribute.value, to: &records) }
        if entry.gid > largestOctal7 { appendRecord("gid", Array(String(entry.gid).utf8), to: &records) }
        if longTarget { appendRecord("linkpath", linkTarget, to: &records) }
        if entry.nanoseconds != 0 || entry.seconds > largestOctal11 {
            appendRecord("mtime", decimal(entry.seconds, entry.nanoseconds), to: &records)
        }
        if longPath { appendRecord("path", path, to: &records) }
        if size > largestOctal11 { appendRecord("size", Array(String(size).utf8), to: &records) }
        if entry.uid > largestOctal7 { appendRecord("uid", Array(String(entry.uid).utf8), to: &records) }

        var blocks: [UInt8] = []
        if !records.isEmpty {
            guard records.count <= maximumPaxLength else {
                throw LayerError.refuse(entry.path, "its extended attributes are longer than \(maximumPaxLength) bytes")
            }
            blocks.reserveCapacity(3 * blockSize + records.count)
            block(name: paxName, prefix: [], mode: 0o644, uid: 0, gid: 0, size: Int64(records.count), time: 0, type: "x", into: &blocks)
            blocks += records
            blocks.append(contentsOf: repeatElement(0, count: padding(Int64(records.count))))
        }
        block(
            name: split?.name ?? path.prefix(nameLength), prefix: split?.prefix ?? [], mode: entry.mode,
            uid: entry.uid > largestOctal7 ? 0 : entry.uid, gid: entry.gid > largestOctal7 ? 0 : entry.gid,
            size: size > largestOctal11 ? 0 : size, time: entry.seconds > largestOctal11 ? 0 : entry.seconds, type: type,
            target: linkTarget.prefix(nameLength), device: device, into: &blocks)
        return blocks
    }

    /// Zero bytes that follow a content of this size.
    static func padding(_ size: Int64) -> Int { Int((512 - size % 512) % 512) }

    /// The parts of ustar's name, split at the first slash that serves; nil where none does.
    private static func splitName(_ path: [UInt8]) -> (prefix: ArraySlice<UInt8>, name: ArraySlice<UInt8>)? {
        if path.count <= nameLength { return ([], path[...]) }
        let first = path.count - nameLength - 1
        guard first <= prefixLength else { return nil }
        for index in max(1, first)...prefixLength where index + 1 < path.count && path[index] == UInt8(ascii: "/") {
            return (path[..<index], path[(index + 1)...])
        }
        return nil
    }

    private static func isUTF8(_ bytes: [UInt8]) -> Bool { String(validating: bytes, as: UTF8.self) != nil }

    private static func decimal(_ seconds: Int64, _ nanoseconds: Int64) -> [UInt8] {
        guard nanoseconds > 0 else { return Array(String(seconds).utf8) }
        var digits = Array(String(1_000_000_000 + nanoseconds).utf8.dropFirst())
        while digits.last == UInt8(ascii: "0") { digits.removeLast() }
        return Array(String(seconds).utf8) + [UInt8(ascii: ".")] + digits
    }

    private static func appendRecord(_ key: String, _ value: [UInt8], to records: inout [UInt8]) {
        appendRecord(Array(key.utf8), value, to: &records)
    }

    // "LENGTH key=value\n", where LENGTH counts itself.
    private static func appendRecord(_ key: [UInt8], _ value: [UInt8], to records: inout [UInt8]) {
        let rest = key.count + value.count + 3
        var length = rest + 1
        while rest + String(length).utf8.count != length { length = rest + String(length).utf8.count }
        records += Array(String(length).utf8)
        records.append(UInt8(ascii: " "))
        records += key
        records.append(UInt8(ascii: "="))
        records += value
        records.append(UInt8(ascii: "\n"))
    }

    private static func block(
        name: some Collection<UInt8>, prefix: some Collection<UInt8>, mode: UInt32, uid: UInt32, gid: UInt32, size: Int64, time: Int64,
        type: Character, target: some Collection<UInt8> = [], device: (major: UInt32, minor: UInt32) = (0, 0), into blocks: inout [UInt8]
    ) {
        let start = blocks.count
        blocks.append(contentsOf: repeatElement(0, count: blockSize))
        blocks.withUnsafeMutableBytes { all in
            let header = UnsafeMutableRawBufferPointer(rebasing: all[start...])
            func put(_ bytes: some Collection<UInt8>, at offset: Int) {
                UnsafeMutableRawBufferPointer(rebasing: header[offset...]).copyBytes(from: bytes)
            }
            func put(octal value: UInt64, digits: Int, at offset: Int) {
                var rest = value
                for index in stride(from: offset + digits - 1, through: offset, by: -1) {
                    header[index] = UInt8(ascii: "0") + UInt8(rest & 7)
                    rest >>= 3
                }
            }
            put(name, at: 0)
            put(octal: UInt64(mode), digits: 7, at: 100)
            put(octal: UInt64(uid), digits: 7, at: 108)
            put(octal: UInt64(gid), digits: 7, at: 116)
            put(octal: UInt64(size), digits: 11, at: 124)
            put(octal: UInt64(time), digits: 11, at: 136)
            header[typeOffset] = type.asciiValue ?? 0
            put(target, at: 157)
            put("ustar\u{0}00".utf8, at: 257)
            put(octal: UInt64(device.major), digits: 7, at: 329)
            put(octal: UInt64(device.minor), digits: 7, at: 337)
            put(prefix, at: 345)
            // The checksum counts its own field as blanks.
            put("        ".utf8, at: 148)
            let sum = header.reduce(UInt64(0)) { $0 + UInt64($1) }
            put(octal: sum, digits: 6, at: 148)
            header[154] = 0
        }
    }
}
