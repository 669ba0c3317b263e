import FarmAPI
import Logging
import Volumes

/// Obeys the coordinator's orders to verify volumes, one after the other: each reads as fast as the disk gives.
actor VolumeVerifier {
    private let volumes: VolumeService
    private let api: APIClient
    private let logger: Logger
    private var last: Task<Void, Never>?

    init(volumes: VolumeService, api: APIClient, logger: Logger) {
        self.volumes = volumes
        self.api = api
        self.logger = logger
    }

    /// Returns at once.
    func obey(_ order: VerifyOrder) {
        let earlier = last
        last = Task { [volumes, api, logger] in
            await earlier?.value
            let report = await volumes.verify(order)
            do {
                try await api.post("/api/v1/agent/volumes/verified", report)
            } catch {
                // Who waits for it hears that the agent did not answer.
                logger.warning("a verification was not told", metadata: ["volume": "\(order.key.id)", "error": "\(error)"])
            }
        }
    }
}
