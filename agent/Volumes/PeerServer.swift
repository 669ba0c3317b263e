import BlockingIO
import BuildPlan
import Certificates
import Digests
import FarmAPI
import Logging
import NIOCore
import Synchronization
import Transport
import TreeSync

/// The routes that an agent serves to other agents: layers and volumes, each under a grant of the coordinator.
public final class PeerServer: Sendable {
    private let store: VolumeStore
    private let layers: any LayerSource
    private let now: @Sendable () -> Timestamp
    private let patience: PeerPatience
    private let disclaim: @Sendable (VolumeKey) async -> Void
    private let publicationPatience: Duration
    let places: ServingPlaces
    private let refusals: RefusalLog
    private let verifier = Mutex<GrantVerifier?>(nil)

    /// - Parameters:
    ///   - now: the time by which grants expire.
    ///   - limits: how many are answered at the same time; others hear 503 at once.
    ///   - publicationPatience: how long who asks waits for a generation that is just being published before it hears that it shall come back.
    ///   - disclaim: called when this agent is taken for a holder of a generation that it does not have.
    public init(
        store: VolumeStore, layers: any LayerSource, now: @escaping @Sendable () -> Timestamp,
        patience: PeerPatience = PeerPatience(), limits: ServingLimits = ServingLimits(),
        publicationPatience: Duration = PeerServer.publicationPatience,
        logger: Logger = Logger(label: "peer"), disclaim: @escaping @Sendable (VolumeKey) async -> Void = { _ in }
    ) {
        self.store = store
        self.layers = layers
        self.now = now
        self.patience = patience
        self.disclaim = disclaim
        self.publicationPatience = publicationPatience
        places = ServingPlaces(limits: limits)
        refusals = RefusalLog(logger)
    }

    /// The coordinator's Ed25519 key (32 bytes) of `AgentCommand.welcome`; until it is known, every request is refused. Throws when it is no
    /// key.
    public func trust(grantKey: [UInt8]) throws {
        let new = try GrantVerifier(publicKey: grantKey)
        verifier.withLock { $0 = new }
    }

    /// Answers one request; the handler of the agent's ``HTTPServer``, which requires certificates.
    public func respond(to request: ServerRequest) async -> ServerResponse {
        do {
            return try await route(request)
        } catch let refusal as Refusal {
            // What is not here, or not any more, or not just now, is no fault of who asks.
            if refusal.status == 400 || refusal.status == 403 { note(refusal.message, of: request) }
            return refusal.response
        } catch {
            note("\(error)", of: request)
            return Refusal(status: 500, message: "\(error)").response
        }
    }

    private func note(_ reason: String, of request: ServerRequest) {
        refusals.note(request.peer?.commonName ?? "", "\(request.method) \(request.path)", reason: reason)
    }

    private func route(_ request: ServerRequest) async throws -> ServerResponse {
        guard let peer = request.peer, peer.role == Role.agent else {
            throw Refusal(status: 403, message: "only an agent of this farm may ask here")
        }
        switch (request.method, request.path) {
        case ("GET", let path) where path.hasPrefix(PeerRoutes.layerPrefix):
            guard let diffID = Digest(String(path.dropFirst(PeerRoutes.layerPrefix.count))) else {
                throw Refusal(status: 400, message: "the path names no layer")
            }
            try authorize(request, peer, Grant.object(of: diffID))
            return try await layer(diffID, place(.layers))
        case ("POST", PeerRoutes.changes):
            let body = try await request.body.collect(upTo: PeerRoutes.questionLimit)
            let question = try Self.decode(ChangesQuestion.self, Array(body.readableBytesView))
            try authorize(request, peer, Grant.object(of: question.key))
            return try await changes(question, request)
        case ("POST", PeerRoutes.fetch):
            let head = try Self.head(of: request)
            try authorize(request, peer, Grant.object(of: head.key))
            return try fetch(head, request)
        case ("POST", PeerRoutes.compare):
            let head = try Self.head(of: request)
            try authorize(request, peer, Grant.object(of: head.key))
            return try compare(head, request)
        default: throw Refusal(status: 404, message: "there is no \(request.method) \(request.path)")
        }
    }

    private static func head(of request: ServerRequest) throws -> FetchHead {
        guard let text = request.headers.first(named: PeerRoutes.headHeader), let bytes = Base64URL.decode(text) else {
            throw Refusal(status: 400, message: "the header \(PeerRoutes.headHeader) is missing")
        }
        return try decode(FetchHead.self, bytes)
    }

    private static func decode<T: Decodable>(_ type: T.Type, _ bytes: [UInt8]) throws -> T {
        do {
            return try FarmJSON.decode(type, from: bytes)
        } catch {
            throw Refusal(status: 400, message: "\(error)")
        }
    }

    private func authorize(_ request: ServerRequest, _ peer: PeerIdentity, _ object: String) throws {
        guard let verifier = verifier.withLock({ $0 }) else {
            throw Refusal(status: 503, message: "this agent has not heard from its coordinator yet")
        }
        guard let token = request.headers.first(named: PeerRoutes.grantHeader) else {
            throw Refusal(status: 403, message: "the header \(PeerRoutes.grantHeader) is missing")
        }
        if let fault = GrantToken.fault(token, subject: peer.commonName, object: object, now: now(), verifier: verifier) {
            throw Refusal(status: 403, message: fault)
        }
    }

    private func place(_ kind: ServingPlaces.Kind) throws -> ServingPlaces.Place {
        guard let place = places.take(kind) else {
            throw Refusal(status: 503, message: "it answers as many others as it can just now")
        }
        return place
    }

    /// A place for what is asked of a volume.
    private func place(for request: ServerRequest) throws -> ServingPlaces.Place {
        try place(request.headers.first(named: PeerRoutes.purposeHeader) == PeerRoutes.copyPurpose ? .copies : .steps)
    }

    private func layer(_ diffID: Digest, _ place: ServingPlaces.Place) async throws -> ServerResponse {
        let layers = layers
        guard try await place.pool.run({ layers.contains(diffID) }) else {
            throw Refusal(status: 404, message: "this agent does not have layer \(diffID)")
        }
        return ServerResponse(
            status: 200,
            body: .stream(length: nil) { [patience] writer in
                defer { place.leave() }
                try await PipeBridge.stream(on: place.pool, to: writer, patience: patience) {
                    try layers.write(diffID: diffID, to: $0)
                }
            })
    }

    /// The coordinator knows of a generation a moment before its maker has moved it into place.
    public static let publicationPatience = Duration.seconds(2)
    private static let publicationPause = Duration.milliseconds(20)

    private func changes(_ question: ChangesQuestion, _ request: ServerRequest) async throws -> ServerResponse {
        let store = store
        let start = ContinuousClock.now
        while store.generation(of: question.key) < question.wanted, store.announcements.isPending(question.key),
            ContinuousClock.now - start < publicationPatience
        {
            try await Task.sleep(for: Self.publicationPause)
        }
        // Asked first: what has ended is in place.
        let isPending = store.announcements.isPending(question.key)
        if store.generation(of: question.key) < question.wanted {
            guard !isPending else {
                throw Refusal(status: 503, message: "it is publishing a generation of that volume just now")
            }
            // The coordinator is mistaken about this agent. Who asks need not wait until it has been told.
            Task { [disclaim] in await disclaim(question.key) }
        }
        let place = try place(for: request)
        let found = try await place.pool.run {
            try store.changes(of: question.key, since: question.known, compares: question.compares)
        }
        guard let (answer, snapshot) = found else {
            throw Refusal(status: 404, message: "this agent has nothing newer of that volume")
        }
        return ServerResponse(
            status: 200,
            body: .stream(length: nil) { [patience] writer in
                defer { place.leave() }
                try await PipeBridge.stream(on: place.pool, to: writer, patience: patience) { try answer.write(to: $0) }
                withExtendedLifetime(snapshot) {}
            })
    }

    private func fetch(_ head: FetchHead, _ request: ServerRequest) throws -> ServerResponse {
        let snapshot = try pinned(head)
        return conversation(request, try place(for: request)) { request, response in
            try ContentSender.serve(
                request: request, files: try snapshot.files(), tables: try snapshot.tables(), holes: head.holes ?? false,
                response: response)
        }
    }

    private func compare(_ head: FetchHead, _ request: ServerRequest) throws -> ServerResponse {
        let snapshot = try pinned(head)
        let store = store
        return conversation(request, try place(for: request)) { request, response in
            try ComparisonServer.serve(request: request, tree: try store.tree(of: snapshot), response: response)
        }
    }

    /// Pinned as long as it is referred to. A newer generation would have other contents.
    private func pinned(_ head: FetchHead) throws -> VolumeSnapshot {
        guard let snapshot = store.snapshot(of: head.key), snapshot.generation == head.generation else {
            throw Refusal(status: 409, message: "this agent's newest generation of that volume is no longer \(head.generation)")
        }
        return snapshot
    }

    /// A response that is made while the request arrives.
    private func conversation(
        _ question: ServerRequest, _ place: ServingPlaces.Place,
        _ serve: @escaping @Sendable (_ request: BytePipe, _ response: BytePipe) throws -> Void
    ) -> ServerResponse {
        ServerResponse(
            status: 200,
            body: .stream(length: nil) { [self] writer in
                defer { place.leave() }
                let request = BytePipe()
                async let incoming: Void = PipeBridge.pump(question.body, into: request, patience: patience)
                do {
                    try await PipeBridge.stream(on: place.pool, to: writer, patience: patience) { response in
                        defer { request.abandon() }
                        try serve(request, response)
                    }
                } catch {
                    request.abandon()
                    await incoming
                    if let error = error as? TreeSyncError, error.isOfPeer { note("\(error)", of: question) }
                    throw error
                }
                await incoming
            })
    }
}

/// An answer that refuses.
private struct Refusal: Error {
    var status: Int
    var message: String

    var response: ServerResponse {
        let body = (try? FarmJSON.encode(APIError(message: message))) ?? []
        return ServerResponse(
            status: status, headers: [HeaderField("content-type", "application/json")], body: .bytes(ByteBuffer(bytes: body)))
    }
}
