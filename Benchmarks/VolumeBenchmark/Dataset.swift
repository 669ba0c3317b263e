import Glibc

/// The data of one case: the same at every run, and not compressible, so that neither side gains by packing it.
struct Dataset {
    enum Kind: String {
        /// Small files in many folders, as a cache of modules has them.
        case files
        /// Object files of 250 kB, a tenth of which get scattered edits.
        case objects
        /// One file, 1% of whose blocks of 4 KiB are written anew.
        case big
        /// Very small files in one folder, 1% of which are written anew.
        case flat
    }

    let kind: Kind
    /// Files; for `big` blocks of 4 KiB.
    let count: Int

    /// How much of `files` each round touches, whatever the count: that is what growth is measured against.
    static let changed = 600
    static let filesInFolder = 100
    static let block = 4096
    static let objectSize = 250_000
    static let editsInObject = 40
    static let flatSize = 200
    /// A fixed day, so that both sides' copies get the same times.
    static let epoch = 1_700_000_000

    init(_ kind: String, count: String) throws {
        guard let kind = Kind(rawValue: kind) else { throw BenchmarkError.usage("the case '\(kind)' is not there") }
        self.kind = kind
        self.count = try Command.number(count)
    }

    func make(in directory: String) throws {
        switch kind {
        case .files:
            for index in 0..<count {
                if index % Self.filesInFolder == 0 { try makeFolder(path(index, in: directory)) }
                try File.write(noise(size(of: index), seed: index), to: path(index, in: directory), time: Self.epoch)
            }
        case .objects:
            try makeFolder("\(directory)/debug/x")
            for index in 0..<count {
                try File.write(noise(Self.objectSize, seed: index), to: object(index, in: directory), time: Self.epoch)
            }
        case .big:
            let file = "\(directory)/big"
            let portion = 256
            for start in stride(from: 0, to: count, by: portion) {
                let bytes = noise(min(portion, count - start) * Self.block, seed: start)
                try File.overwrite(file, at: start * Self.block, with: bytes, time: Self.epoch)
            }
        case .flat:
            try makeFolder("\(directory)/all/x")
            for index in 0..<count {
                try File.write(noise(Self.flatSize, seed: index), to: flat(index, in: directory), time: Self.epoch)
            }
        }
    }

    /// Rounds touch other files: enough for some dozen rounds of 6,000 files and more. What is new differs between data sets of different
    /// counts: else one volume's would be found in another's that is there already.
    func change(in directory: String, round: Int) throws {
        let time = Self.epoch + round
        var random = Noise(seed: UInt64(round) << 32 ^ UInt64(count))
        switch kind {
        case .files:
            let step = max(2, count / Self.changed)
            let half = step / 2
            for number in 0..<min(Self.changed, count / step) {
                let index = number * step + round % half
                try File.overwrite(path(index, in: directory), at: 400, with: random.bytes(1024), time: time)
                let new = path(number * step, in: directory) + "-new-\(round)"
                try File.write(random.bytes(16_000), to: new, time: time)
                // 0.5% of the files for 1% changed; a name that an earlier round took is no matter.
                if number % 2 == 0 { unlink(path(number * step + half + round % half, in: directory)) }
            }
        case .objects:
            for index in stride(from: round % 10, to: count, by: 10) {
                for _ in 0..<Self.editsInObject {
                    let position = Int(random.next() % UInt64(Self.objectSize - 100))
                    let length = Int(random.next() % 100) + 1
                    try File.overwrite(object(index, in: directory), at: position, with: random.bytes(length), time: time)
                }
            }
        case .big:
            for _ in 0..<max(1, count / 100) {
                let block = Int(random.next() % UInt64(count))
                try File.overwrite("\(directory)/big", at: block * Self.block, with: random.bytes(Self.block), time: time)
            }
        case .flat:
            for index in stride(from: round % 100, to: count, by: 100) {
                try File.overwrite(flat(index, in: directory), at: 0, with: random.bytes(Self.flatSize), time: time)
            }
        }
    }

    /// 1,000 to 32,333 bytes, 16.7 kB in the middle.
    private func size(of index: Int) -> Int { 1000 + index * 7919 % 31_334 }

    private func path(_ index: Int, in directory: String) -> String {
        let folder = index / Self.filesInFolder
        return "\(directory)/pkg/group-\(folder / 50)/module-\(folder)/file-\(index).go"
    }

    private func object(_ index: Int, in directory: String) -> String { "\(directory)/debug/unit-\(index).o" }

    private func flat(_ index: Int, in directory: String) -> String { "\(directory)/all/\(index).o" }

    private func noise(_ count: Int, seed: Int) -> [UInt8] {
        var random = Noise(seed: UInt64(seed))
        return random.bytes(count)
    }

    private func makeFolder(_ path: String) throws {
        var position = path.startIndex
        while let slash = path[position...].dropFirst().firstIndex(of: "/") {
            position = slash
            guard mkdir(String(path[..<slash]), 0o755) == 0 || errno == EEXIST else {
                throw BenchmarkError.last("making \(path[..<slash])")
            }
        }
    }
}

/// Numbers without a pattern, quickly: splitmix64.
struct Noise {
    private var state: UInt64

    /// Mixed, since neighbouring states give the same numbers, one later.
    init(seed: UInt64) { state = Self.mixed(seed &+ 0x1234_5678_9abc_def1) }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        return Self.mixed(state)
    }

    private static func mixed(_ state: UInt64) -> UInt64 {
        var value = state
        value = (value ^ value >> 30) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ value >> 27) &* 0x94d0_49bb_1331_11eb
        return value ^ value >> 31
    }

    mutating func bytes(_ count: Int) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: (count + 7) / 8 * 8) { buffer, initialized in
            let raw = UnsafeMutableRawBufferPointer(buffer)
            for offset in stride(from: 0, to: count, by: 8) { raw.storeBytes(of: next(), toByteOffset: offset, as: UInt64.self) }
            initialized = count
        }
    }
}

/// Files with the times that both sides get.
enum File {
    static func write(_ bytes: [UInt8], to path: String, time: Int) throws {
        try put(bytes, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, at: 0, time)
    }

    static func overwrite(_ path: String, at position: Int, with bytes: [UInt8], time: Int) throws {
        try put(bytes, path, O_WRONLY | O_CREAT | O_CLOEXEC, at: position, time)
    }

    private static func put(_ bytes: [UInt8], _ path: String, _ flags: Int32, at position: Int, _ time: Int) throws {
        let file = open(path, flags, 0o644)
        guard file >= 0 else { throw BenchmarkError.last("opening \(path)") }
        defer { close(file) }
        guard bytes.withUnsafeBytes({ pwrite(file, $0.baseAddress, $0.count, off_t(position)) }) == bytes.count else {
            throw BenchmarkError.last("writing \(path)")
        }
        let times = [timespec(tv_sec: time, tv_nsec: 0), timespec(tv_sec: time, tv_nsec: 0)]
        guard futimens(file, times) == 0 else { throw BenchmarkError.last("setting the time of \(path)") }
    }
}
