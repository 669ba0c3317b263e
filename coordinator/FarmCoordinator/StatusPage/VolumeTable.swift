import BuildPlan
import Daemon
import FarmAPI

/// Volumes with their sizes, and who holds which generation.
struct VolumeTable: Sendable {
    var volumes: [VolumeDescription]
    var now: Timestamp

    var content: HTML {
        let rows = volumes.map { volume -> HTML in
            let holders = volume.holders.sorted { ($1.generation, $0.agent) < ($0.generation, $1.agent) }.map { holder -> HTML in
                let behind = max(0, volume.generation &- holder.generation)
                return behind == 0 ? "<span>\(holder.agent)</span>" : "<span class=\"soft\">\(holder.agent) (\(behind) behind)</span>"
            }
            return """
                <tr><td class="name">\(volume.project)</td><td class="name">\(volume.id)</td><td class="wide">\(volume.platform.description)</td>
                <td class="num wide">\(volume.generation)</td><td class="num">\(Show.bytes(volume.bytes))</td>
                <td class="num wide">\(Show.count(volume.files))</td><td class="num wide">\(used(volume))</td>
                <td class="num">\(copies(volume))</td><td class="holders">\(holders.isEmpty ? ["<span class=\"lost\">nobody</span>"] : holders)</td></tr>
                """
        }
        return """
            <div class="scroll"><table><thead><tr><th>Project</th><th>Volume</th><th class="wide">Platform</th><th class="num wide">Generation</th>
            <th class="num">Size</th><th class="num wide">Files</th><th class="num wide">Used</th>
            <th class="num">Copies</th><th>Held by</th></tr></thead><tbody>\(rows)</tbody></table></div>
            """
    }

    private func used(_ volume: VolumeDescription) -> HTML {
        if volume.inUse { return "in use" }
        return volume.lastUsed.map { Show.ago($0, now: now) } ?? "–"
    }

    private func copies(_ volume: VolumeDescription) -> HTML {
        volume.copies > 1 ? "\(volume.copies)" : "<span class=\"lost\">\(volume.copies)</span>"
    }
}
