import FarmAPI
import Store

/// How much each project's volumes may take: a value without clock or I/O. Bytes of the newest generations, each volume once, however many
/// agents have it.
struct VolumeQuotas: Sendable, Equatable {
    /// For projects without one of their own; 0 for no limit.
    var usual: Int64 = 0
    /// By project; 0 for no limit.
    var projects: [String: Int64] = [:]
    /// Volumes are removed until this part of the quota is taken, so that the next publication does not remove another.
    var low: Double = 0.8

    /// Nil for no limit.
    func limit(of project: String) -> Int64? {
        let limit = projects[project] ?? usual
        return limit > 0 ? limit : nil
    }

    /// The volumes of one project that have to go: first those that are above the quota by themselves, which nothing else can make room for,
    /// then those that no step has used for the longest time. One that is in use stays, also when the project is above its quota by that;
    /// one that will have to go then does not count for the others.
    func excess(_ project: String, _ volumes: [StoredVolume], isInUse: (VolumeKey) -> Bool) -> [StoredVolume] {
        guard let limit = limit(of: project) else { return [] }
        var excess = volumes.filter { $0.bytes > limit && !isInUse($0.key) }
        let others = volumes.filter { $0.bytes <= limit }
        var total = others.reduce(Int64(0)) { $0.addingReportingOverflow($1.bytes).overflow ? .max : $0 + $1.bytes }
        guard total > limit else { return excess }
        let target = Int64(Double(limit) * low)
        for volume in others.sorted(by: { ($0.lastUse, $0.key.id) < ($1.lastUse, $1.key.id) }) where !isInUse(volume.key) {
            guard total > target else { break }
            total -= volume.bytes
            excess.append(volume)
        }
        return excess
    }

    /// `app=5G,tools=512M`; nil for anything else.
    static func parse(_ text: String, bytes: (String) -> Int64?) -> [String: Int64]? {
        var projects: [String: Int64] = [:]
        for part in text.split(separator: ",") {
            guard let equals = part.lastIndex(of: "="), equals > part.startIndex,
                let limit = bytes(String(part[part.index(after: equals)...]))
            else { return nil }
            projects[String(part[..<equals])] = limit
        }
        return projects
    }
}
