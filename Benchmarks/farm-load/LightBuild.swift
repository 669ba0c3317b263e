import BuildPlan
import FarmAPI
import Transport

/// A client with a connection of its own that submits one build and follows it to its end.
struct LightBuild: Sendable {
    /// Builds of one short step that measure how long a submission takes while others run.
    static let probeProject = "probe"
    static let probeSeconds = 0.2

    private let api: APIClient
    private let number: Int
    private let load: Load
    private let observations: Observations

    init(number: Int, identity: TLSIdentity, port: Int, load: Load, observations: Observations) {
        api = APIClient(http: HTTPClient(configuration: ClientConfiguration(host: "localhost", port: port, identity: identity)))
        self.number = number
        self.load = load
        self.observations = observations
    }

    /// Opens the connection.
    func connect() async {
        do { _ = try await api.get([BuildDescription].self, "/api/v1/builds?limit=1") } catch {
            observations.fail("client \(number): connecting: \(error)")
        }
    }

    func close() async { await api.http.close() }

    /// Submits and follows; true when the build succeeded with every line in its place.
    func run() async {
        do {
            let build = try await submit(project: "project-\(number % 10)", steps: load.steps) { $0.submits.append($1) }
            try await follow(build)
        } catch {
            observations.fail("client \(number): \(error)")
        }
    }

    /// A submission that nobody follows.
    func probe() async {
        do { _ = try await submit(project: Self.probeProject, steps: 1) { $0.laterSubmits.append($1) } } catch {
            if !Task.isCancelled { observations.fail("probe: \(error)") }
        }
    }

    private func submit(project: String, steps: Int, note: (inout Observations.Values, Double) -> Void) async throws -> String {
        let nonce = UInt64.random(in: 0 ... .max)
        let text = "FROM scratch\n" + (0..<steps).map { "RUN work \(nonce) \($0)\n" }.joined()
        let request = SubmitRequest(
            project: project, dockerfile: text, dockerfileName: "Dockerfile", contextRoot: nil, options: BuildOptions(),
            requestID: "\(nonce)")
        let start = ContinuousClock.now
        let answer = try await api.post(SubmitResponse.self, "/api/v1/builds", request)
        let time = (ContinuousClock.now - start).inSeconds
        observations.note { note(&$0, time) }
        return answer.build
    }

    private func follow(_ build: String) async throws {
        var sequence = 0
        var next = 0
        var finished = 0
        var delays: [Double] = []
        delays.reserveCapacity(load.steps * Int(load.seconds * load.linesPerSecond))
        for try await event in try await api.lines(BuildEvent.self, "GET", "/api/v1/builds/\(build)/events?after=0") {
            if event.sequence != sequence + 1 { observations.fail("client \(number): event \(event.sequence) after \(sequence)") }
            sequence = event.sequence
            switch event.kind {
            case .log(_, _, let text):
                for part in text.split(separator: "\n") {
                    guard let line = LogLine(part) else {
                        observations.fail("client \(number): a line that nobody printed: \(part)")
                        continue
                    }
                    if line.number != next { observations.fail("client \(number): line \(line.number) instead of \(next)") }
                    next = line.number + 1
                    delays.append(line.age)
                }
            case .stepFinished(_, _, let status, let cached, _, let error, _):
                let expected = Int(load.linesPerSecond * load.seconds)
                if next != expected { observations.fail("client \(number): \(next) lines of a step instead of \(expected)") }
                if status != .succeeded || cached { observations.fail("client \(number): a step \(status) \(error ?? "")") }
                next = 0
                finished += 1
            case .stageRetried(_, let reason): observations.fail("client \(number): a stage was retried: \(reason)")
            case .warning(let text): observations.fail("client \(number): \(text)")
            case .finished(let status, let error, _, _):
                if status != .succeeded { observations.fail("client \(number): build \(status): \(error?.message ?? "")") }
                if finished != load.steps { observations.fail("client \(number): \(finished) steps instead of \(load.steps)") }
                let all = delays
                observations.note { $0.lineDelays += all }
                return
            default: break
            }
        }
        observations.fail("client \(number): the events ended before the build")
    }
}
