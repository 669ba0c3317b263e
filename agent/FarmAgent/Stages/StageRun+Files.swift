import BlockingIO
import BuildPlan
import Digests
import FarmAPI
import FileSteps
import FileTree
import OCI
import Sandbox
import Synchronization

// COPY, ADD, WORKDIR, and what brings the repository's files.
extension StageRun {
    func perform(
        _ copy: CopyOperation, upon layers: [LayerDescriptor], in scope: StepScope, _ report: inout StepReport
    ) async throws -> LayerDescriptor {
        let input = try await input(of: copy, in: scope)
        let paths = try await scope.pin(layers)
        let result = Mutex(CopyResult())
        let layer = try await services.slots.run {
            try await makeLayer(above: layers) { room in
                try await BlockingPool.shared.run { interruption in
                    let copied = try inTarget(of: copy, layers: paths, room: room, scope: scope) { target in
                        try CopyExecutor(target: target, scratch: scope.folder.path, interruption: interruption)
                            .run(copy, from: input(interruption))
                    }
                    result.withLock { $0 = copied }
                }
            }
        }
        let copied = result.withLock { $0 }
        report.bytes.context += Int64(clamping: copied.fetchedBytes)
        if !copied.contents.isEmpty {
            try await BlockingPool.shared.run { [layers = services.layers] in try layers.recordContents(layer.diffID, copied.contents) }
        }
        return layer
    }

    func makeDirectory(_ path: String, upon layers: [LayerDescriptor], in scope: StepScope) async throws -> LayerDescriptor {
        let paths = try await scope.pin(layers)
        return try await makeLayer(above: layers) { room in
            try await BlockingPool.shared.run {
                let below = try Snapshot.mount(layers: paths, scratch: try scope.directory())
                defer { below.unmount() }
                try DirectoryStep.run(path: path, target: .layer(below: below.path, upper: room.upper))
            }
        }
    }

    func makeEmpty(_ directories: [String], upon layers: [LayerDescriptor], in scope: StepScope) async throws -> LayerDescriptor {
        let paths = try await scope.pin(layers)
        return try await makeLayer(above: layers) { room in
            try await BlockingPool.shared.run {
                let below = try Snapshot.mount(layers: paths, scratch: try scope.directory())
                defer { below.unmount() }
                try EmptyDirectoriesStep.run(paths: directories, target: .layer(below: below.path, upper: room.upper))
            }
        }
    }

    func perform(
        _ git: GitOperation, upon progress: Progress, in scope: StepScope, _ report: inout StepReport
    ) async throws -> LayerDescriptor {
        // An archive is written as a whole, whatever an image below has of the repository.
        let update = try await update(git.mappings, from: git.kind == .archive ? nil : progress.files)
        let paths = try await scope.pin(progress.layers)
        let result = Mutex(CopyResult())
        let layer = try await services.slots.run {
            try await makeLayer(above: progress.layers) { room in
                let written = try await update.write(into: room, above: paths, linksFiles: true, scope: scope)
                result.withLock { $0 = written }
            }
        }
        let written = result.withLock { $0 }
        report.bytes.context += Int64(clamping: written.fetchedBytes)
        if !written.contents.isEmpty {
            try await BlockingPool.shared.run { [layers = services.layers] in try layers.recordContents(layer.diffID, written.contents) }
        }
        return layer
    }

    /// What brings the repository's files to this build's commit.
    struct FilesUpdate: Sendable {
        fileprivate let mappings: [GitMapping]
        fileprivate let old: Digest?
        fileprivate let new: Digest
        fileprivate let services: StageServices

        func write(into room: Snapshot.Room, above layers: [String], linksFiles: Bool, scope: StepScope) async throws -> CopyResult {
            try await BlockingPool.shared.run { interruption in
                let below = try Snapshot.mount(layers: layers, scratch: try scope.directory())
                defer { below.unmount() }
                let contents = ContextContents(services: services, interruption: interruption)
                return try RepositoryUpdate(mappings, reader: services.contexts.objects, from: old, to: new, interruption: interruption)
                    .run(
                        target: .layer(below: below.path, upper: room.upper), contents: contents, linksFiles: linksFiles)
            }
        }
    }

    /// Brings the directories that the difference is found by.
    func update(_ mappings: [GitMapping], from old: Digest?) async throws -> FilesUpdate {
        let new = try contextRoot()
        for mapping in mappings {
            if let old { try await services.contexts.bring(mapping.selection, root: old) }
            try await services.contexts.bring(mapping.selection, root: new)
        }
        return FilesUpdate(mappings: mappings, old: old, new: new, services: services)
    }

    /// Where the files come from. Made anew for each use: an executor's input is for one thread, and ends with that one's work.
    private func input(of copy: CopyOperation, in scope: StepScope) async throws -> @Sendable (Interruption) -> CopyInput {
        let readsTree = copy.sources.contains { if case .tree = $0 { true } else { false } }
        guard readsTree else { return { _ in .none } }
        guard copy.from != .context else {
            let root = try contextRoot()
            // The digests of the inputs have brought the directories.
            return { [services] interruption in
                .context(
                    reader: services.contexts.objects, root: root,
                    contents: ContextContents(services: services, interruption: interruption))
            }
        }
        let root = try await scope.root(of: copy.from, layers: try layers(of: copy.from))
        return { _ in .root(path: root) }
    }

    /// An archive that is unpacked may replace anything, which takes a mounted root; the rest is written into the layer itself.
    private func inTarget<T>(
        of copy: CopyOperation, layers: [String], room: Snapshot.Room, scope: StepScope, _ body: (CopyTarget) throws -> T
    ) throws -> T {
        let scratch = try scope.directory()
        guard copy.unpacksArchives else {
            let below = try Snapshot.mount(layers: layers, scratch: scratch)
            defer { below.unmount() }
            return try body(.layer(below: below.path, upper: room.upper))
        }
        let root = try Snapshot.mount(layers: layers, scratch: scratch, room: room)
        defer { root.unmount() }
        return try body(.mounted(root: root.path))
    }

    /// A part of the context as a directory or file of its own, which nobody may write to; it stays as long as the scope.
    func materialize(_ selection: TreeSelection, in scope: StepScope) async throws -> (path: String, bytes: Int64) {
        let root = try contextRoot()
        try await services.contexts.bring(selection, root: root)
        let (source, bytes) = try await BlockingPool.shared.run { [services] interruption in
            let contents = ContextContents(services: services, interruption: interruption)
            let selector = TreeSelector(reader: services.contexts.objects, root: root)
            let source = try services.binds.source(selection.path, in: selector, contents: contents, interruption: interruption)
            return (source, contents.fetchedBytes)
        }
        scope.atEnd { withExtendedLifetime(source) {} }
        return (source.path, bytes)
    }
}
