/// Turns a step's output into texts: a character that was cut between two reads is put together, what is no UTF-8 is repaired.
struct OutputDecoder {
    /// More than people read; a step that writes without end must not fill the coordinator's disk.
    static let limit = 64 << 20

    private var rest: [UInt8] = []
    private var taken = 0
    private var mask: SecretMask

    init(mask: SecretMask = SecretMask([])) { self.mask = mask }

    /// The text of the next bytes; nil where there is none yet.
    mutating func text(of bytes: UnsafeRawBufferPointer) -> String? {
        guard taken < Self.limit else { return nil }
        taken += bytes.count
        var all = mask.isEmpty ? rest + bytes : rest + mask.filter(bytes)
        let cut = Self.incompleteTail(all)
        rest = Array(all.suffix(cut))
        all.removeLast(cut)
        var text = String(decoding: all, as: UTF8.self)
        if taken >= Self.limit {
            rest = []
            text += "\n[the rest of the output is left out: it is more than \(Self.limit >> 20) MiB]\n"
        }
        return text.isEmpty ? nil : text
    }

    /// What is left at the end.
    mutating func finish() -> String? {
        defer { rest = [] }
        let all = rest + mask.finish()
        return all.isEmpty ? nil : String(decoding: all, as: UTF8.self)
    }

    /// How many bytes at the end begin a character without ending it.
    private static func incompleteTail(_ bytes: [UInt8]) -> Int {
        for length in 1...3 where length <= bytes.count {
            let byte = bytes[bytes.count - length]
            if byte & 0xC0 == 0x80 { continue }
            let wanted = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : byte >= 0xC0 ? 2 : 1
            return wanted > length ? length : 0
        }
        return 0
    }
}
