import BuildPlan
import Digests
import FarmAPI
import Store

extension Coordinator {
    /// The longest name of a project, in bytes: it becomes a part of volume names.
    static let maximumProjectName = 200
    /// The longest Dockerfile, in bytes.
    static let maximumDockerfile = 4 << 20

    /// Stores a build. When its context is complete it starts at once, else at ``start(_:)``. The same `requestID` of the same user
    /// gives the same build.
    public func submit(_ request: SubmitRequest, user: String) async throws -> SubmitResponse {
        try check(request)
        let submission = Self.submission(request.requestID, user: user)
        let known = try await store.build(requestID: request.requestID, user: user)
        let complete = if let root = request.contextRoot { try await contexts.hasTree(root) } else { true }
        // Last, without an await before the insertion: another task may have stored the same request meanwhile.
        if let id = submissions[submission] {
            let isUploaded = builds[id]?.stored.uploaded ?? true
            // That request's answer may not be durable yet.
            try await settle(patiently: false)
            return SubmitResponse(build: id, started: isUploaded)
        }
        if let known { return SubmitResponse(build: known.id, started: known.uploaded || known.status.isFinal) }
        let now = clock.now()
        let stored = StoredBuild(
            id: newBuildID(), user: user, request: request, platform: request.options.platform?.normalized ?? farmPlatform(),
            uploaded: complete,
            createdAt: now)
        outbox.append(.insert(stored))
        adopt(BuildRun(stored, sequence: 0, clientSeen: clock.monotonic()))
        try await settle(patiently: false)
        return SubmitResponse(build: stored.id, started: complete)
    }

    /// The context's directories are uploaded now.
    /// - Throws: ``EngineError/conflict(_:)`` when some are still missing.
    public func start(_ build: String) async throws {
        let run = try await openBuild(build)
        guard let run, !run.stored.uploaded else { return }
        run.clientSeen = clock.monotonic()
        if let root = run.stored.request.contextRoot, try await !contexts.hasTree(root) {
            throw EngineError.conflict("directories of the context \(root) are missing: upload them, then start the build")
        }
        guard run.isOpen, !run.stored.uploaded else { return }
        run.stored.uploaded = true
        outbox.append(.update(run.stored))
        run.wake()
        try await settle(patiently: false)
    }

    /// The contents that the build waits for now, each once.
    public func needs(of build: String) async throws -> [Digest] {
        guard let run = try await openBuild(build) else { return [] }
        run.clientSeen = clock.monotonic()
        guard case .missing(let missing) = run.contents else { return [] }
        return missing.sorted()
    }

    /// How long a question waits for the plan before it is answered with "not yet": shorter than any client of HTTP waits.
    static let needsWait = Duration.seconds(20)

    /// The same, once it is known: nil where that takes longer than ``needsWait``. What a build needs is all asked for before anything of it
    /// runs; afterwards only what was lost meanwhile.
    public func settledNeeds(of build: String) async throws -> [Digest]? {
        guard let run = try await openBuild(build) else { return [] }
        if !run.isExamined {
            await withTaskGroup(of: Void.self) { [needsBell] group in
                group.addTask { await needsBell.wait(for: build, after: 0) }
                group.addTask { try? await Task.sleep(for: Self.needsWait) }
                _ = await group.next()
                group.cancelAll()
            }
            try Task.checkCancellation()
        }
        guard run.isExamined || !run.isOpen else { return nil }
        return try await needs(of: build)
    }

    /// File contents have been stored; the build goes on when it has all it needs.
    public func contentsArrived(for build: String) async throws {
        guard let run = try await openBuild(build) else { return }
        run.clientSeen = clock.monotonic()
        guard case .missing = run.contents, let root = run.stored.request.contextRoot else { return }
        let requested = run.requested
        let missing = try await contexts.missingContents(root: root, selections: requested.sorted { $0.path < $1.path })
        // Parts that were asked for during the wait have been looked at by who asked.
        guard case .missing = run.contents, run.requested == requested else { return run.wake() }
        run.contents = missing.isEmpty ? .complete : .missing(Set(missing))
        run.wake()
    }

    /// Ends the build; no error when it has ended already.
    public func cancel(_ build: String) async throws {
        guard let run = try await openBuild(build) else { return }
        finish(run, .cancelled, failure: BuildFailure(message: "cancelled"))
        try await settle(patiently: false)
    }

    /// The build in memory; nil when it has ended.
    func openBuild(_ build: String) async throws -> BuildRun? {
        if let run = builds[build] { return run }
        guard try await store.build(build) != nil else { throw EngineError.notFound("there is no build \(build)") }
        return nil
    }

    private func check(_ request: SubmitRequest) throws {
        if let trouble = store.trouble { throw EngineError.unavailable(trouble) }
        let project = request.project.utf8
        // Names of volumes are joined by line feeds in grants.
        guard !project.isEmpty, project.count <= Self.maximumProjectName, project.allSatisfy({ $0 >= 0x20 && $0 != 0x7f }) else {
            throw EngineError.invalid("a project's name has 1 to \(Self.maximumProjectName) bytes, none of them a control character")
        }
        guard request.dockerfile.utf8.count <= Self.maximumDockerfile else {
            throw EngineError.invalid("\(request.dockerfileName) is longer than \(Self.maximumDockerfile >> 20) MiB")
        }
        if let trouble = request.options.trouble { throw EngineError.invalid(trouble) }
        guard !request.requestID.isEmpty, request.requestID.utf8.count <= Self.maximumProjectName else {
            throw EngineError.invalid("a request's id has 1 to \(Self.maximumProjectName) bytes")
        }
    }

    // Long enough to be unique in a farm's life, short enough to be typed.
    private func newBuildID() -> String {
        var id: String
        repeat { id = String(UInt64.random(in: 0..<(1 << 60)), radix: 32) } while id.count != 12 || builds[id] != nil
        return id
    }

    /// The platform of builds that name none: what most agents are.
    func farmPlatform() -> Platform {
        let counts = Dictionary(agentEntries.values.compactMap(\.platform).map { ($0, 1) }, uniquingKeysWith: +)
        let most = counts.max { ($0.value, $1.key.description) < ($1.value, $0.key.description) }
        return most?.key ?? Self.ownPlatform
    }

    private static var ownPlatform: Platform {
        #if arch(arm64)
            Platform(os: "linux", architecture: "arm64")
        #else
            Platform(os: "linux", architecture: "amd64")
        #endif
    }
}
