import BlockingIO
import Digests
import FarmAPI
import NIOCore
import Transport
import TreeSync

/// Connections to the other agents, one for each address.
public actor PeerClient {
    /// A holder answers the head of a response at once; one that takes longer is gone.
    private static let headDeadline = Duration.seconds(60)

    private let identity: TLSIdentity
    nonisolated let patience: PeerPatience
    private var clients: [String: HTTPClient] = [:]
    /// Of all that this agent receives.
    public nonisolated let meter = TransferMeter()

    public init(identity: TLSIdentity, patience: PeerPatience = PeerPatience()) {
        self.identity = identity
        self.patience = patience
    }

    /// Closes all connections.
    public func close() async {
        let all = clients.values
        clients = [:]
        for client in all { await client.close() }
    }

    /// Starts fetching a layer; the pipe gives its uncompressed tar, not yet verified, and throws where the transfer breaks. A reader
    /// that stops early calls ``BytePipe/abandon()``.
    public func fetchLayer(from holder: Holder, diffID: Digest) async throws -> BytePipe {
        let response = try await send(ClientRequest(method: "GET", target: "\(PeerRoutes.layerPrefix)\(diffID)"), to: holder)
        let pipe = BytePipe()
        // Ends with the body or with the reader, whichever is first.
        Task { [patience] in await PipeBridge.pump(response.body, into: pipe, patience: patience) }
        return pipe
    }

    /// What has changed in a volume since a generation (0 for none), and the bytes that the answer took. With `compares`, a holder that
    /// can't tell asks for a comparison instead of telling everything.
    ///
    /// - Parameter record: says where everything is to be written, where that is told; with nil, it is decoded.
    func changes(
        from holder: Holder, key: VolumeKey, known: Int, wanted: Int, compares: Bool = false,
        recordingWhole record: (@Sendable () throws -> String)? = nil
    ) async throws -> (answer: ChangesAnswer.Received, received: Int64) {
        let question = try FarmJSON.encode(ChangesQuestion(key: key, known: known, wanted: wanted, compares: compares))
        let response = try await send(
            ClientRequest(method: "POST", target: PeerRoutes.changes, body: .bytes(ByteBuffer(bytes: question))), to: holder)
        let pipe = BytePipe()
        async let arriving: Void = PipeBridge.pump(response.body, into: pipe, patience: patience)
        let result = try await trusting(holder) {
            try await BlockingPool.shared.run { () -> (answer: ChangesAnswer.Received, received: Int64) in
                defer { pipe.abandon() }
                if let record { return try ChangesAnswer.read(from: pipe, recordingWhole: record) }
                let (answer, received) = try ChangesAnswer.read(from: pipe)
                return (.decoded(answer), received)
            }
        }
        await arriving
        return result
    }

    /// Compares a tree that is here with a holder's, with which it has no generation in common.
    func compare(
        _ tree: ComparedTree, with holder: Holder, key: VolumeKey, generation: Int
    ) async throws -> TreeComparison.Outcome {
        let head = Base64URL.encode(try FarmJSON.encode(FetchHead(key: key, generation: generation)))
        let request = BytePipe()
        let questions = OutboundBody.stream(length: nil) { [patience] writer in
            try await PipeBridge.pump(request, into: writer, patience: patience)
        }
        // Unblocks whoever writes or reads it, however this ends.
        defer { request.abandon() }
        let response = try await send(
            ClientRequest(
                method: "POST", target: PeerRoutes.compare, headers: [HeaderField(PeerRoutes.headHeader, head)], body: questions),
            to: holder)
        let pipe = BytePipe()
        async let arriving: Void = PipeBridge.pump(response.body, into: pipe, patience: patience)
        var random = SystemRandomNumberGenerator()
        let secret = (0..<TreeComparison.keyLength).map { _ in UInt8.random(in: .min ... .max, using: &random) }
        let result = try await trusting(holder) {
            try await BlockingPool.shared.run {
                defer {
                    request.finish()
                    pipe.abandon()
                }
                do {
                    return try TreeComparison.run(local: tree, key: secret, request: request, response: pipe)
                } catch PipeError.abandoned {
                    throw TreeSyncError.badStream("the other side takes no more questions")
                }
            }
        }
        await arriving
        return result
    }

    /// Brings one round of files, for which there is so much room; returns what has to be asked for again, and the bytes that came.
    func fetch(
        _ round: DeltaFetch.Round, of fetch: DeltaFetch, from holder: Holder, key: VolumeKey, generation: Int, room: UInt64
    ) async throws -> (again: DeltaFetch.Round, received: Int64) {
        // Interrupted when the answers are there.
        async let _: Void? = try? BlockingPool.shared.run { fetch.readAhead(of: round, $0) }
        let head = Base64URL.encode(try FarmJSON.encode(FetchHead(key: key, generation: generation, holes: true)))
        let wanted = OutboundBody.stream(length: nil) { [patience] writer in
            try await PipeBridge.stream(on: .shared, to: writer, patience: patience) { try fetch.writeRequest(round, to: $0) }
        }
        let response = try await send(
            ClientRequest(
                method: "POST", target: PeerRoutes.fetch, headers: [HeaderField(PeerRoutes.headHeader, head)], body: wanted),
            to: holder)
        let pipe = BytePipe()
        async let arriving: Void = PipeBridge.pump(response.body, into: pipe, patience: patience)
        let result = try await trusting(holder) {
            try await BlockingPool.shared.run {
                defer { pipe.abandon() }
                return try fetch.readResponse(round, from: pipe, room: room)
            }
        }
        await arriving
        return result
    }

    /// Closes the connection to a holder that does not keep to the protocol: nothing else that it sends is worth reading.
    private func trusting<T: Sendable>(_ holder: Holder, _ body: @Sendable () async throws -> T) async throws -> T {
        do {
            return try await body()
        } catch let error as TreeSyncError where error.isOfPeer {
            await clients.removeValue(forKey: holder.address)?.close()
            throw error
        }
    }

    private func send(_ request: ClientRequest, to holder: Holder) async throws -> ClientResponse {
        var request = request
        request.headers.append(HeaderField(PeerRoutes.grantHeader, holder.grant))
        if Pace.isBackground { request.headers.append(HeaderField(PeerRoutes.purposeHeader, PeerRoutes.copyPurpose)) }
        let response = try await client(for: holder.address).send(request, deadline: Self.headDeadline)
        guard response.status == 200 else {
            let body = try await response.body.collect(upTo: PeerRoutes.errorLimit)
            let message = (try? FarmJSON.decode(APIError.self, from: body))?.message ?? ""
            if response.status == 503 { throw VolumeError.peerBusy(agent: holder.agent, message: message) }
            throw VolumeError.peerRefused(agent: holder.agent, status: response.status, message: message)
        }
        return response
    }

    private func client(for address: String) throws -> HTTPClient {
        if let client = clients[address] { return client }
        guard let colon = address.lastIndex(of: ":"), let port = Int(address[address.index(after: colon)...]), (1...65_535).contains(port)
        else { throw TransportError.connectFailed(address: address, reason: "the address is not host:port") }
        var host = String(address[..<colon])
        if host.hasPrefix("["), host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
        let client = HTTPClient(configuration: ClientConfiguration(host: host, port: port, identity: identity))
        clients[address] = client
        return client
    }
}
