/// The arithmetic of manifests.
extension VolumeManifest {
    /// The generation after this one. Linear in both.
    public func applying(_ delta: DeltaManifest) -> VolumeManifest {
        var merged: [TreeEntry] = []
        merged.reserveCapacity(entries.count + delta.puts.count)
        var put = 0
        var deletion = 0
        // What hides the old entries below it: a file put or a name deleted where a directory was.
        var hidden: TreePath?
        func takePuts(before path: TreePath?) {
            while put < delta.puts.count, path.map({ TreePaths.precedes(delta.puts[put].path, $0) }) ?? true {
                merged.append(delta.puts[put])
                put += 1
            }
        }
        for entry in entries {
            takePuts(before: entry.path)
            while deletion < delta.deletions.count, TreePaths.precedes(delta.deletions[deletion], entry.path) { deletion += 1 }
            if let above = hidden {
                if TreePaths.isBelow(entry.path, above) { continue }
                hidden = nil
            }
            if put < delta.puts.count, delta.puts[put].path == entry.path {
                if !delta.puts[put].isDirectory { hidden = entry.path }
                continue
            }
            if deletion < delta.deletions.count, delta.deletions[deletion] == entry.path {
                hidden = entry.path
                continue
            }
            merged.append(entry)
        }
        takePuts(before: nil)
        return VolumeManifest(unchecked: merged)
    }

    /// What makes this generation `other`. Linear in both.
    public func delta(to other: VolumeManifest) -> DeltaManifest {
        var deletions: [TreePath] = []
        var changed = [Bool](repeating: false, count: other.entries.count)
        var needed: Set<TreePath> = []
        func need(above path: TreePath) {
            var path = path
            while let parent = TreePaths.parent(of: path), needed.insert(parent).inserted { path = parent }
        }
        var index = 0
        for entry in entries {
            while index < other.entries.count, TreePaths.precedes(other.entries[index].path, entry.path) {
                changed[index] = true
                need(above: other.entries[index].path)
                index += 1
            }
            if index < other.entries.count, other.entries[index].path == entry.path {
                if other.entries[index] != entry {
                    changed[index] = true
                    need(above: entry.path)
                }
                index += 1
            } else {
                deletions.append(entry.path)
                need(above: entry.path)
            }
        }
        for rest in index..<other.entries.count {
            changed[rest] = true
            need(above: other.entries[rest].path)
        }
        let puts = other.entries.indices.filter { changed[$0] || needed.contains(other.entries[$0].path) }.map { other.entries[$0] }
        return DeltaManifest(unchecked: puts, deletions: deletions)
    }
}

extension DeltaManifest {
    /// The same delta, its hard links numbered as those of the generation that follows `parent`.
    ///
    /// A number stands for one inode in the whole volume. Generations have different parents, and so different numbers.
    public func numberingLinks(after parent: Int) -> DeltaManifest {
        var renumbered = self
        var numbers: [UInt64: UInt64] = [:]
        for index in renumbered.puts.indices {
            guard var file = renumbered.puts[index].file, file.linkGroup != 0 else { continue }
            let number = numbers[file.linkGroup] ?? LinkGroups.number(UInt64(numbers.count) + 1, after: parent)
            numbers[file.linkGroup] = number
            file.linkGroup = number
            renumbered.puts[index].content = .file(file)
        }
        return renumbered
    }

    /// This delta and then the later one, as one.
    public func followed(by later: DeltaManifest) -> DeltaManifest {
        var gone = Set(later.deletions)
        let replaced = Set(later.puts.map(\.path))
        // A file where there was a directory hides what the earlier delta put inside.
        var puts = self.puts.filter { !gone.contains($0.path) && !replaced.contains($0.path) } + later.puts
        puts.sort { TreePaths.precedes($0.path, $1.path) }
        var visible: [TreeEntry] = []
        visible.reserveCapacity(puts.count)
        var hidden: TreePath?
        for entry in puts {
            if let above = hidden, TreePaths.isBelow(entry.path, above) {
                gone.insert(entry.path)
                continue
            }
            hidden = entry.isDirectory ? nil : entry.path
            visible.append(entry)
        }
        for path in deletions where !replaced.contains(path) { gone.insert(path) }
        return DeltaManifest(unchecked: visible, deletions: gone.sorted(by: TreePaths.precedes))
    }

    /// The same change upon a generation that others made meanwhile, so that no addition of either side is lost.
    ///
    /// Where both changed a path, this delta wins; a name that is deleted here but was changed there stays.
    ///
    /// - Parameters:
    ///   - old: the generation that this delta was made upon.
    ///   - head: the generation that it shall stand upon now.
    public func rebased(from old: any GenerationLookup, onto head: any GenerationLookup) throws -> DeltaManifest {
        var gone: Set<TreePath> = []
        for path in deletions {
            guard let there = try head.entry(path) else { continue }
            let before = try old.entry(path)
            // A directory's time changes with what is in it, which speaks for itself.
            if there == before || there.isDirectory && before?.isDirectory == true { gone.insert(path) }
        }
        for entry in puts where !entry.isDirectory {
            for hidden in try head.inside(entry.path) { gone.insert(hidden.path) }
        }
        // A directory is deleted only with all that is in it; from the bottom, since a kept directory keeps those above it.
        var kept: Set<TreePath> = []
        for path in deletions.reversed() where gone.contains(path) {
            guard try head.entry(path)?.isDirectory == true else { continue }
            let survives = try head.inside(path).contains { !gone.contains($0.path) }
            if survives {
                gone.remove(path)
                kept.insert(path)
            }
        }
        // A kept directory has to be named only where something below it is.
        let own = Set(puts.map(\.path))
        var needed: Set<TreePath> = []
        for path in gone {
            var path = path
            while let parent = TreePaths.parent(of: path), needed.insert(parent).inserted { path = parent }
        }
        let added = try kept.filter { needed.contains($0) && !own.contains($0) }.compactMap { try head.entry($0) }
        let all = (puts + added).sorted { TreePaths.precedes($0.path, $1.path) }
        return DeltaManifest(unchecked: all, deletions: gone.filter { !own.contains($0) }.sorted(by: TreePaths.precedes))
    }
}
