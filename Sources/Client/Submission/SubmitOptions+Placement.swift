import BuildPlan
import FarmAPI

// What says where a build's stages run and what they get.
extension SubmitOptions {
    /// `--require` and `--prefer`: a label twice can't be had.
    public static func labels(_ texts: [String], option: String) throws(ClientError) -> [String: String] {
        var labels: [String: String] = [:]
        for text in texts {
            guard let (name, value) = try keyValue(text, option: option, environment: nil) else { continue }
            if let before = labels.updateValue(value, forKey: name), before != value {
                throw .usage("\(option) \(text): \(name)=\(before) was asked for already, and an agent has one value of a label")
            }
        }
        guard labels.count <= BuildOptions.mostLabels else { throw .usage("\(option): at most \(BuildOptions.mostLabels) labels") }
        return labels
    }

    /// `--platform`: one that Linux runs on.
    public static func platform(_ text: String) throws(ClientError) -> Platform {
        guard let platform = Platform(text), platform.os == "linux" else {
            throw .usage("--platform \(text): expected linux/ARCHITECTURE, such as linux/amd64")
        }
        return platform.normalized
    }

    /// `--cpus`: fractions too.
    public static func cpus(_ text: String) throws(ClientError) -> Double {
        let isPlain =
            !text.isEmpty && text.utf8.allSatisfy { ($0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9")) || $0 == UInt8(ascii: ".") }
        guard isPlain, let value = Double(text), BuildOptions.cpuRange.contains(value) else {
            throw .usage("--cpus \(text): expected a number from 0.01 to 4096, such as 2 or 0.5")
        }
        return value
    }

    /// `--memory`: powers of 1024.
    public static func memory(_ text: String) throws(ClientError) -> Int64 {
        let bytes = Int64(clamping: try byteCount(text, option: "--memory"))
        guard bytes >= BuildOptions.leastMemory else {
            throw .usage("--memory \(text): expected at least \(ResourceText.memory(BuildOptions.leastMemory)): no step starts with less")
        }
        return bytes
    }

    /// `--priority`: a word or a number.
    public static func priority(_ text: String) throws(ClientError) -> Int {
        guard let value = PriorityName.value(of: text) else {
            throw .usage("--priority \(text): expected low, normal, high, or a number from -3 to 3")
        }
        return value
    }
}
