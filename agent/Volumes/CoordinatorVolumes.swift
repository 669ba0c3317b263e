import FarmAPI

/// The coordinator's routes for volumes, as an agent calls them.
public protocol CoordinatorVolumes: Sendable {
    /// `POST /api/v1/agent/volumes/locate`: the state of the volumes now; no lock is taken.
    func locate(_ request: AcquireVolumes) async throws -> VolumesAcquired
    /// `POST /api/v1/agent/volumes/acquire`: answered when all locks are granted, however long that takes.
    func acquire(_ request: AcquireVolumes) async throws -> VolumesAcquired
    /// `POST /api/v1/agent/volumes/publish`
    func publish(_ request: PublishVolume) async throws -> PublishAnswer
    /// `POST /api/v1/agent/volumes/release`
    func release(_ request: ReleaseVolumes) async throws
    /// `POST /api/v1/agent/volumes/suspect`
    func suspect(_ volume: SuspectVolume) async throws
    /// `POST /api/v1/agent/holdings`
    func changeHoldings(_ change: HoldingsChange) async throws
}

extension APIClient: CoordinatorVolumes {
    public func locate(_ request: AcquireVolumes) async throws -> VolumesAcquired {
        try await post(VolumesAcquired.self, "/api/v1/agent/volumes/locate", request)
    }

    public func acquire(_ request: AcquireVolumes) async throws -> VolumesAcquired {
        try await post(VolumesAcquired.self, "/api/v1/agent/volumes/acquire", request, deadline: nil)
    }

    public func publish(_ request: PublishVolume) async throws -> PublishAnswer {
        try await post(PublishAnswer.self, "/api/v1/agent/volumes/publish", request)
    }

    public func release(_ request: ReleaseVolumes) async throws { try await post("/api/v1/agent/volumes/release", request) }

    public func suspect(_ volume: SuspectVolume) async throws { try await post("/api/v1/agent/volumes/suspect", volume) }

    public func changeHoldings(_ change: HoldingsChange) async throws { try await post("/api/v1/agent/holdings", change) }
}
