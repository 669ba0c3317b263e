import BuildPlan
import Certificates
import Digests
import FarmAPI

@testable import Volumes

/// A coordinator's part for volumes, in memory: numbers generations, knows holders, grants locks in order, signs grants.
actor MemoryCoordinator {
    struct Volume {
        var head = 0
        var published: [Digest: Int] = [:]
        var holders: [String: Int] = [:]
        var users: [String: Sharing] = [:]
    }

    nonisolated let key: GrantSigningKey
    private(set) var volumes: [VolumeKey: Volume] = [:]
    private(set) var addresses: [String: String] = [:]
    private(set) var releases: [String] = []
    private var waiting: [(lock: String, needs: [AcquireVolumes.Need], resume: CheckedContinuation<Void, any Error>)] = []
    /// Runs before a publication is looked at.
    var beforePublish: (@Sendable (PublishVolume) async -> Void)?
    /// Runs when a publication has got its number, before its agent hears that.
    var afterPublish: (@Sendable (PublishVolume) async -> Void)?
    var goneVolumes: Set<VolumeKey> = []
    var expires = Timestamp(seconds: 4_000_000_000)
    /// Runs after a question for the state of volumes was answered.
    private var afterLocate: (@Sendable () async -> Void)?

    init() throws { key = try GrantSigningKey.create() }

    func register(_ agent: String, _ address: String) { addresses[agent] = address }
    func forget(_ agent: String) { for key in volumes.keys { volumes[key]?.holders[agent] = nil } }
    func setBeforePublish(_ body: (@Sendable (PublishVolume) async -> Void)?) { beforePublish = body }
    func setAfterLocate(_ body: (@Sendable () async -> Void)?) { afterLocate = body }
    func locate(_ request: AcquireVolumes, for agent: String) async throws -> VolumesAcquired {
        let answer = try state(request.needs, for: agent, lock: nil)
        await afterLocate?()
        return answer
    }
    func setAfterPublish(_ body: (@Sendable (PublishVolume) async -> Void)?) { afterPublish = body }
    func remove(_ key: VolumeKey) {
        volumes[key] = nil
        goneVolumes.insert(key)
    }
    /// The volume is removed, and may be made anew.
    func restart(_ key: VolumeKey) { volumes[key] = nil }
    func head(_ key: VolumeKey) -> Int { volumes[key]?.head ?? 0 }
    func holders(_ key: VolumeKey) -> [String: Int] { volumes[key]?.holders ?? [:] }
    func isLocked(_ key: VolumeKey) -> Bool { !(volumes[key]?.users.isEmpty ?? true) }
    func isAnybodyWaiting() -> Bool { !waiting.isEmpty }
    func setExpires(_ time: Timestamp) { expires = time }

    func grant(for agent: String, _ object: String) throws -> String {
        let message = try FarmJSON.encode(Grant(subject: agent, object: object, expires: expires))
        return Base64URL.encode(message) + "." + Base64URL.encode(try key.sign(message))
    }

    func state(_ needs: [AcquireVolumes.Need], for agent: String, lock: String?) throws -> VolumesAcquired {
        VolumesAcquired(
            volumes: try needs.map { need in
                let volume = volumes[need.key] ?? Volume()
                let others = volume.users.keys.contains { $0 != lock }
                return VolumesAcquired.Volume(
                    head: volume.head, holders: try holders(need.key, for: agent), fork: lock != nil && need.sharing == .private && others)
            })
    }

    func holders(_ key: VolumeKey, for agent: String) throws -> [Holder] {
        let volume = volumes[key] ?? Volume()
        return try volume.holders.filter { $0.key != agent }.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.map { name, generation in
            Holder(
                agent: name, address: addresses[name] ?? "127.0.0.1:1", grant: try grant(for: agent, Grant.object(of: key)),
                generation: generation)
        }
    }

    func acquire(_ request: AcquireVolumes, for agent: String) async throws -> VolumesAcquired {
        if !isFree(request.needs) {
            try await withTaskCancellationHandler {
                try await withCheckedThrowingContinuation { waiting.append((request.lock, request.needs, $0)) }
            } onCancel: {
                Task { await self.cancel(request.lock) }
            }
        }
        let answer = try state(request.needs, for: agent, lock: request.lock)
        for need in request.needs { volumes[need.key, default: Volume()].users[request.lock] = need.sharing }
        return answer
    }

    private func isFree(_ needs: [AcquireVolumes.Need]) -> Bool {
        needs.allSatisfy { need in
            let users = volumes[need.key]?.users ?? [:]
            return users.isEmpty || (need.sharing != .locked && !users.values.contains(.locked))
        }
    }

    private func cancel(_ lock: String) {
        guard let index = waiting.firstIndex(where: { $0.lock == lock }) else { return }
        waiting.remove(at: index).resume.resume(throwing: CancellationError())
    }

    /// The lock's holder is lost: others may have what it had.
    func expire(_ lock: String) { free(lock) }

    func release(_ lock: String) {
        releases.append(lock)
        free(lock)
    }

    private func free(_ lock: String) {
        for key in volumes.keys { volumes[key]?.users[lock] = nil }
        while let first = waiting.first, isFree(first.needs) {
            waiting.removeFirst()
            // Taken here, so that nobody comes in between.
            for need in first.needs { volumes[need.key, default: Volume()].users[first.lock] = need.sharing }
            first.resume.resume()
        }
    }

    func publish(_ request: PublishVolume, by agent: String) async throws -> PublishAnswer {
        await beforePublish?(request)
        if goneVolumes.contains(request.key) { return .gone }
        var volume = volumes[request.key] ?? Volume()
        if let generation = volume.published[request.digest] { return .accepted(generation: generation) }
        if let lock = request.lock, volume.users[lock] == nil { return .stale }
        guard request.parent == volume.head else {
            return .behind(head: volume.head, holders: try holders(request.key, for: agent))
        }
        volume.head += 1
        volume.published[request.digest] = volume.head
        volume.holders[agent] = volume.head
        volumes[request.key] = volume
        await afterPublish?(request)
        return .accepted(generation: volume.head)
    }

    private(set) var suspects: [SuspectVolume] = []
    func suspect(_ volume: SuspectVolume) { suspects.append(volume) }

    func change(_ change: HoldingsChange, by agent: String) {
        for held in change.volumes { volumes[held.key]?.holders[agent] = held.generation }
        for key in change.removedVolumes { volumes[key]?.holders[agent] = nil }
    }
}

/// The same as one agent sees it.
struct MemoryCoordinatorClient: CoordinatorVolumes {
    let agent: String
    let coordinator: MemoryCoordinator

    func locate(_ request: AcquireVolumes) async throws -> VolumesAcquired {
        try await coordinator.locate(request, for: agent)
    }
    func acquire(_ request: AcquireVolumes) async throws -> VolumesAcquired { try await coordinator.acquire(request, for: agent) }
    func publish(_ request: PublishVolume) async throws -> PublishAnswer { try await coordinator.publish(request, by: agent) }
    func release(_ request: ReleaseVolumes) async throws { await coordinator.release(request.lock) }
    func suspect(_ volume: SuspectVolume) async throws { await coordinator.suspect(volume) }
    func changeHoldings(_ change: HoldingsChange) async throws { await coordinator.change(change, by: agent) }
}
