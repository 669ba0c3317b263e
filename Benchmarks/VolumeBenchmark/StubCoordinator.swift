import FarmAPI
import Synchronization
import Volumes

/// A coordinator's part for one agent, without a network: it knows what the script says.
final class StubCoordinator: CoordinatorVolumes {
    private struct State {
        var head: Int
        var holders: [Holder] = []
    }

    private let state: Mutex<State>

    init(head: Int) { state = Mutex(State(head: head)) }

    /// From now on the volume's head is this one, and these have it.
    func set(head: Int, holders: [Holder]) { state.withLock { $0 = State(head: head, holders: holders) } }

    func locate(_ request: AcquireVolumes) async throws -> VolumesAcquired {
        let now = state.withLock { $0 }
        return VolumesAcquired(
            volumes: request.needs.map { _ in VolumesAcquired.Volume(head: now.head, holders: now.holders, fork: false) })
    }

    func acquire(_ request: AcquireVolumes) async throws -> VolumesAcquired { try await locate(request) }

    func publish(_ request: PublishVolume) async throws -> PublishAnswer {
        state.withLock { state in
            state.head = max(state.head, request.parent) + 1
            return .accepted(generation: state.head)
        }
    }

    func release(_ request: ReleaseVolumes) async throws {}
    func suspect(_ volume: SuspectVolume) async throws {}
    func changeHoldings(_ change: HoldingsChange) async throws {}
}
