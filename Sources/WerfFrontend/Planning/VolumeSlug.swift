/// The ids of `build_dir` volumes: the same as werf's own, so that they read alike.
///
/// At most 42 characters: the path in small letters, digits and hyphens, cropped, a hyphen, and the hexadecimal MurmurHash3 (32 bits, seed 0)
/// of the path without zeros in front.
enum VolumeSlug {
    private static let maximumLength = 42

    /// `/var/cache/apt` gives `var-cache-apt-cf3c1428`.
    static func slug(_ path: String) -> String {
        let hash = String(murmur3(Array(path.utf8)), radix: 16)
        let letters = hyphenated(path).prefix(maximumLength - hash.count - 1)
        return letters.isEmpty ? hash : "\(letters)-\(hash)"
    }

    /// Runs of what separates become one hyphen, none at the ends; what is neither letter, digit nor separator is left out.
    private static func hyphenated(_ text: String) -> String {
        var result = ""
        var isPending = false
        for scalar in text.unicodeScalars {
            guard let letters = letters(of: scalar) else { continue }
            if letters == "-" {
                isPending = !result.isEmpty
                continue
            }
            if isPending { result += "-" }
            isPending = false
            result += letters
        }
        return result
    }

    private static func letters(of scalar: Unicode.Scalar) -> String? {
        switch scalar {
        case "a"..."z", "0"..."9": String(Character(scalar))
        case "A"..."Z": String(Character(scalar)).lowercased()
        case "/", " ", "&", "(", ")", "{", "}", "[", "]", "-", "_", ",", ".", ";", ":", "=", "+", "<", ">", "~": "-"
        default: nil
        }
    }

    // Austin Appleby's MurmurHash3_x86_32.
    static func murmur3(_ bytes: [UInt8], seed: UInt32 = 0) -> UInt32 {
        func mixed(_ block: UInt32) -> UInt32 {
            let k = block &* 0xcc9e_2d51
            return ((k << 15) | (k >> 17)) &* 0x1b87_3593
        }
        var hash = seed
        var index = 0
        while index + 4 <= bytes.count {
            let block =
                UInt32(bytes[index]) | UInt32(bytes[index + 1]) << 8 | UInt32(bytes[index + 2]) << 16 | UInt32(bytes[index + 3]) << 24
            hash ^= mixed(block)
            hash = ((hash << 13) | (hash >> 19)) &* 5 &+ 0xe654_6b64
            index += 4
        }
        var tail: UInt32 = 0
        for (offset, byte) in bytes[index...].enumerated() { tail |= UInt32(byte) << UInt32(8 * offset) }
        if index < bytes.count { hash ^= mixed(tail) }
        hash ^= UInt32(truncatingIfNeeded: bytes.count)
        hash = (hash ^ (hash >> 16)) &* 0x85eb_ca6b
        hash = (hash ^ (hash >> 13)) &* 0xc2b2_ae35
        return hash ^ (hash >> 16)
    }
}
