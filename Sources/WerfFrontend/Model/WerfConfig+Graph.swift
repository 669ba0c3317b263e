extension WerfImage {
    /// The images of the file that this one needs, with the line that says so.
    var needs: [(name: String, line: Int)] {
        switch body {
        case .stapel(let image):
            (image.base.kind == .own ? [(image.base.name, image.base.line)] : [])
                + image.imports.filter { $0.from.kind == .own }.map { ($0.from.name, $0.from.line) }
                + image.dependencies.map { ($0.image, $0.line) }
        case .dockerfile(let image): image.dependencies.map { ($0.image, $0.line) }
        }
    }
}

extension WerfConfig {
    /// Throws where images need each other in a circle.
    func checkCycles() throws(WerfError) {
        var indexes: [String: Int] = [:]
        for (index, image) in images.enumerated() { indexes[image.name] = index }
        var finished: Set<Int> = []
        for start in images.indices where !finished.contains(start) {
            // One entry for each image on the way, with the number of the next thing that it needs.
            var path: [(image: Int, next: Int)] = [(start, 0)]
            while let last = path.last {
                let needs = images[last.image].needs
                guard last.next < needs.count else {
                    finished.insert(last.image)
                    path.removeLast()
                    continue
                }
                path[path.count - 1].next += 1
                guard let needed = indexes[needs[last.next].name], !finished.contains(needed) else { continue }
                if let first = path.firstIndex(where: { $0.image == needed }) {
                    let names = (path[first...].map { images[$0.image].shownName } + [images[needed].shownName]).joined(separator: " → ")
                    throw WerfError(
                        file: file, line: needs[last.next].line, message: "images need each other in a circle: \(names)")
                }
                path.append((needed, 0))
            }
        }
    }

    /// The images and all that they need, each once, each after what it needs.
    func closure(of selected: [WerfImage]) -> [WerfImage] {
        let byName = Dictionary(images.map { ($0.name, $0) }) { first, _ in first }
        var placed: Set<String> = []
        var order: [WerfImage] = []
        for start in selected {
            var path: [(image: WerfImage, next: Int)] = [(start, 0)]
            while let last = path.last {
                guard !placed.contains(last.image.name) else {
                    path.removeLast()
                    continue
                }
                let needs = last.image.needs
                if last.next < needs.count {
                    path[path.count - 1].next += 1
                    if let needed = byName[needs[last.next].name], !placed.contains(needed.name) { path.append((needed, 0)) }
                } else {
                    placed.insert(last.image.name)
                    order.append(last.image)
                    path.removeLast()
                }
            }
        }
        return order
    }
}
