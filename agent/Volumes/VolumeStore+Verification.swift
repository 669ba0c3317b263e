import BlockingIO
import FarmAPI
import Glibc
import TreeSync

// What is on the disk against what it should be.
extension VolumeStore {
    /// What reading everything of a generation has found.
    struct Findings: Sendable {
        var names: Int64 = 0
        var bytes: Int64 = 0
        /// Of the whole stack, the lowest layer first; of one with many the first ones.
        var faults: [LayerCheck.Fault] = []
        /// What can't be mended by its manifest alone; with paths for which a merge is enough among them.
        var damaged: Set<TreePath> = []
        /// Names of layers with files of other owners, modes, times or attributes.
        var withOtherMetadata: [String] = []
        /// The lowest layer that is damaged: what stands upon it is worth nothing without it. Nil where only metadata is wrong.
        var lowest: String?
        /// Layers that have to be there still where something is to be mended.
        var layers: [String] { withOtherMetadata + (lowest.map { [$0] } ?? []) }
        /// Whether it is known what there should be; else the layers have to go.
        var isComplete = true
    }

    /// Reads every file of a generation's layers and compares it with the manifests. Blocks, for as long as that takes.
    func check(_ snapshot: VolumeSnapshot, _ interruption: Interruption = Interruption()) throws -> Findings {
        var findings = Findings()
        var below: [ManifestTable] = []
        for layer in snapshot.layers {
            let name = String(layer.split(separator: "/").last ?? "")
            let faults: [LayerCheck.Fault]
            do {
                // Not the one that was read before: the file may have been damaged since.
                let table = try ManifestTable(file: layer + ".manifest")
                var check = try LayerCheck(directory: layer)
                try check.run(table, upon: GenerationIndex(below)) { try interruption.check() }
                below.append(table)
                findings.names += check.names
                findings.bytes &+= check.bytes
                faults = check.faults
                findings.damaged.formUnion(check.damaged)
                if !check.damaged.isEmpty { findings.lowest = findings.lowest ?? name }
                if check.hasOtherMetadata { findings.withOtherMetadata.append(name) }
            } catch let error as CancellationError {
                throw error
            } catch {
                // What stands upon it can't be judged without it, and is lost with it.
                findings.lowest = findings.lowest ?? name
                findings.isComplete = false
                findings.faults.append(LayerCheck.Fault(path: [], what: "can't be read in layer \(name): \(error)"))
                return findings
            }
            findings.faults += faults
        }
        return findings
    }

    /// The files of a generation that have to be brought again, with all their names and the directories above: what else is damaged is made
    /// anew from the manifest. Blocks.
    func wanted(_ faulty: Set<TreePath>, of snapshot: VolumeSnapshot) throws -> DeltaManifest {
        let entries = try snapshot.manifest().entries
        let groups = Set(entries.lazy.filter { faulty.contains($0.path) }.compactMap { $0.file?.linkGroup }).subtracting([0])
        var paths: Set<TreePath> = []
        for entry in entries {
            guard let file = entry.file, faulty.contains(entry.path) || groups.contains(file.linkGroup) else { continue }
            var path: TreePath? = entry.path
            while let next = path, paths.insert(next).inserted { path = TreePaths.parent(of: next) }
        }
        return try DeltaManifest(puts: entries.filter { paths.contains($0.path) }, deletions: [])
    }

    /// Gives files whose contents are right the owners, modes, times and attributes that they should have. Nobody may have the volume
    /// mounted. Blocks.
    func mendMetadata(_ findings: Findings, of key: VolumeKey) throws {
        let path = directory(of: key)
        for name in layerNames(of: key) where findings.withOtherMetadata.contains(name) {
            try LayerMetadata.mend("\(path)/\(name)", ManifestTable(file: "\(path)/\(name).manifest"), except: findings.damaged)
        }
        if !findings.withOtherMetadata.isEmpty { try VolumeFiles.sync(path) }
    }

    /// Takes away a layer and all that stands upon it; what is below stays, as the older generation that it is. Nobody may have the
    /// volume mounted. Blocks.
    func truncate(_ key: VolumeKey, from layer: String) throws {
        let path = directory(of: key)
        guard let index = layerNames(of: key).firstIndex(of: layer), index > 0 else { return try drop(key) }
        let damaged = Array(layerNames(of: key)[index...])
        var journals: [String] = []
        try change(key) { volume in
            volume.trash += volume.state.layers[index...].map(\.name)
            volume.state.layers.removeSubrange(index...)
            let generation = volume.state.generation
            journals = volume.state.journal.filter { $0.to > generation }.map(\.file)
            volume.state.journal.removeAll { $0.to > generation }
            try measure(&volume.state, path)
        }
        forgetContents(of: key, in: damaged)
        for file in journals { unlink("\(path)/\(file)") }
        try writeThrough(key)
        try removeTrash(key)
    }
}
