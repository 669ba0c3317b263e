import FarmAPI
import Glibc
import NIOCore

extension Listings {
    /// `farm volumes verify`: has every holder read what it has. Lines come as agents answer; with `json` all at the end.
    /// - Throws: when something was damaged that could not be mended, or could not be looked at.
    public func verifyVolumes(project: String?, id: String?, json: Bool) async throws {
        var query: [String] = []
        if let project { query.append("project=\(percentEncoded(project))") }
        if let id { query.append("id=\(percentEncoded(id))") }
        let target = "/api/v1/volumes/verify" + (query.isEmpty ? "" : "?" + query.joined(separator: "&"))
        let rows = try await asking { api in
            var rows: [VolumeVerification] = []
            for try await row in try await api.lines(VolumeVerification.self, "POST", target) {
                rows.append(row)
                if !json { Screen.write(Self.text(of: row), to: STDOUT_FILENO) }
            }
            return rows
        }
        if json { Screen.write(String(decoding: try FarmJSON.encodePretty(rows), as: UTF8.self) + "\n", to: STDOUT_FILENO) }
        let lost = rows.count { $0.isLoss }
        if lost > 0 { throw ClientError.failed("\(lost) of \(rows.count) copies of volumes are not whole, or could not be looked at") }
    }

    /// Paths of one volume that are shown to people; `--json` has them all.
    private static let shownDamage = 20

    static func text(of row: VolumeVerification) -> String {
        let name = Printable.line("\(row.project) \(row.id) \(row.platform)")
        let place = row.agent.isEmpty ? "" : " on \(Printable.line(row.agent))"
        var text = "\(name)\(place): \(row.outcome.rawValue)"
        switch row.outcome {
        case .sound: text += ", generation \(row.generation), \(row.files) names, \(Human.bytes(row.bytes))"
        case .repaired: text += ", generation \(row.left) was brought again"
        case .dropped:
            text += row.left > 0 ? ": generation \(row.left) is what is left of \(row.generation)" : ": nothing of it is left there"
        case .damaged, .unverified: break
        }
        if let error = row.error, !error.isEmpty { text += " (\(Printable.line(error)))" }
        text += "\n"
        for damage in row.damage.prefix(shownDamage) { text += "  \(Printable.line(damage.path)): \(Printable.line(damage.what))\n" }
        if row.damage.count > shownDamage { text += "  and \(row.damage.count - shownDamage) more\n" }
        return text
    }
}
