import BuildPlan
import Digests
import FarmAPI
import NIOCore
import Testing
import Transport

@testable import FarmCoordinator

@Suite("The status page")
struct StatusPageTests {
    private static let hostile = "<script>alert(1)</script>\"'&\u{202e}\u{1b}[31m"
    private static let now = Timestamp(seconds: 1_800_000_000)

    private static var build: BuildDescription {
        var step = BuildDescription.Step(name: hostile, status: .failed)
        step.startedAt = Timestamp(seconds: 1_799_999_990)
        step.exitCode = 2
        step.bytes.volumes = 5 << 20
        var cached = BuildDescription.Step(name: "[2/2] COPY . .", status: .succeeded)
        cached.cached = true
        var build = BuildDescription(
            id: "b1", project: hostile, status: .failed, createdAt: Timestamp(seconds: 1_799_999_900),
            stages: [
                BuildDescription.Stage(
                    name: hostile, agent: hostile, status: .failed, attempts: 2, placement: hostile, steps: [step, cached])
            ])
        build.stages[0].decision = PlacementDecision(
            outcome: .placed, time: now, agent: hostile,
            candidates: [.init(agent: hostile, queue: 1, transfer: .infinity, run: 3, adjustment: -1, bytes: ReceivedBytes())], compared: 3)
        build.error = hostile
        build.image = BuildDescription.Image(digest: Digest.of("m"), configDigest: Digest.of("c"))
        return build
    }

    private static var home: HomePage {
        var agent = AgentDescription(
            name: hostile, state: .lost, labels: [hostile: hostile], slots: 4, running: 1, address: hostile, runtime: hostile,
            version: hostile, lastSeen: Timestamp(seconds: 1_799_999_000))
        agent.setAside = .init(reason: hostile, until: Timestamp(seconds: 1_800_000_090), isOnTrial: false)
        return HomePage(
            agents: [agent], builds: [build],
            volumes: [
                VolumeDescription(
                    project: hostile, id: hostile, platform: Platform(os: "linux", architecture: hostile), generation: 7, bytes: 1 << 30,
                    files: 60_000, holders: [.init(agent: hostile, generation: 5), .init(agent: "agent-2", generation: 7)])
            ],
            images: [
                ImageDescription(
                    name: hostile, platform: Platform(os: "linux", architecture: "amd64"), bytes: 1, layers: 1, importedAt: now)
            ], now: now)
    }

    private func text(_ response: ServerResponse) throws -> String {
        guard case .bytes(let buffer) = response.body else { throw TestFarm.SetupFailed() }
        return String(buffer: buffer)
    }

    @Test func `Names, errors and steps can't become markup`() throws {
        for content in [
            Self.home.content, BuildPage(build: Self.build, volumes: Self.home.volumes, now: Self.now).content, SignInPageContent.content,
        ] {
            #expect(!content.text.contains("<script>alert"))
            #expect(!content.text.contains("\u{202e}"))
            #expect(!content.text.contains("\u{1b}"))
            #expect(content.text.contains("&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;"))
        }
    }

    private enum SignInPageContent {
        static var content: HTML { "<p>\(StatusPageTests.hostile)</p>" }
    }

    @Test func `A build's page shows the volumes of its project with their holders, and what all steps received`() {
        let page = BuildPage(build: Self.build, volumes: Self.home.volumes, now: Self.now).content.text
        #expect(page.contains("<table>") && !page.contains("&lt;table"))
        #expect(page.contains("<span>agent-2</span>"))
        #expect(page.contains("(2 behind)"))
        #expect(page.contains("received over the network: volumes 5.2 MB"), "\(page)")
    }

    @Test(arguments: [(-1, "0 B"), (999, "999 B"), (1_000, "1.0 kB"), (999_949, "999.9 kB"), (999_999, "1.0 MB"), (Int64.max, "9223.4 PB")])
    func `Bytes are counted as the command line counts them`(count: Int64, text: String) { #expect(Show.bytes(count) == text) }

    @Test func `Titles and addresses are escaped too`() throws {
        let page = try text(PageFrame.response(title: Self.hostile, live: true, events: "/x\"><script>", "<p></p>"))
        #expect(!page.contains("<script>alert"))
        #expect(!page.contains("x\"><script>"))
    }

    @Test func `Only the page's own style and script may run`() throws {
        let response = PageFrame.response(title: "Farm", live: true, "<p></p>")
        let policy = try #require(response.headers.first(named: "content-security-policy"))
        #expect(policy.contains("default-src 'none'"))
        #expect(!policy.contains("unsafe"))
        let page = try text(response)
        func inside(_ tag: String) throws -> String {
            let after = try #require(page.range(of: "<\(tag)>")).upperBound
            return String(page[after..<(try #require(page.range(of: "</\(tag)>")).lowerBound)])
        }
        for tag in ["style", "script"] {
            #expect(policy.contains("'sha256-\(Base64.encode(Digest.of(try inside(tag)).bytes))'"))
        }
        for outside in ["http:", "https:", "src=", "url(", " on"] where outside != "https:" {
            #expect(!page.replacing(" on ", with: "").contains(outside), "\(outside)")
        }
    }

    @Test func `A build's page can be unfolded to why a stage is where it is`() {
        let text = BuildPage(build: Self.build, now: Self.now).content.text
        #expect(text.contains("<details id=\"why-0\"><summary>Why &lt;script&gt;"))
        #expect(text.contains("3 agents compared, never ran before"))
        #expect(text.contains("and 2 more"))
        var build = Self.build
        build.stages[0].decision = PlacementDecision(
            outcome: .unplaceable, time: Self.now, reason: "none", objections: [.init(agent: "a", reason: Self.hostile)])
        let other = BuildPage(build: build, now: Self.now).content.text
        #expect(other.contains("Why not") && !other.contains("<script>alert"))
    }

    @Test func `A build's page says what happened`() {
        let text = BuildPage(build: Self.build, now: Self.now).content.text
        for word in ["attempt 2", "(exit 2)", "5.2 MB", "cached", "data-final", Digest.of("m").description] {
            #expect(text.contains(word))
        }
    }

    @Test func `The home page says how the farm is`() {
        let text = Self.home.content.text
        for word in [
            "0 / 1", "1.1 GB", "for another 1 min 30 s: &lt;script&gt;", "60,000", "(2 behind)", "16 min ago", "href=\"/builds/b1\"",
        ] {
            #expect(text.contains(word), "\(word)")
        }
        let empty = HomePage(agents: [], builds: [], volumes: [], images: [], now: Self.now).content.text
        for word in ["farm-agent", "farm submit", "farm image import"] { #expect(empty.contains(word)) }
    }

    @Test(arguments: [
        (0.04, "0.0 s"), (9.94, "9.9 s"), (9.96, "10 s"), (59.6, "1 min 00 s"), (3599, "59 min 59 s"), (7260, "2 h 1 min"),
        (90_000, "1 d 1 h"),
    ])
    func `Durations are short`(_ seconds: Double, _ text: String) { #expect(Show.duration(seconds) == text) }

    @Test func `Numbers and times that agents make up break nothing`() {
        var page = Self.home
        for number in [Int64.max, .min, -1] {
            page.volumes = (1...3).map { _ in
                VolumeDescription(
                    project: "p", id: "v", platform: Platform(os: "linux", architecture: "amd64"), generation: .min, bytes: number,
                    files: number, holders: [.init(agent: "a", generation: .max)])
            }
            #expect(!page.content.text.isEmpty)
        }
        var build = Self.build
        build.createdAt = Timestamp(nanoseconds: .min)
        build.startedAt = build.createdAt
        build.finishedAt = Timestamp(nanoseconds: .max)
        #expect(!BuildPage(build: build, now: Self.now).content.text.isEmpty)
    }

    @Test(arguments: [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567"), (-1000, "-1,000")] as [(Int64, String)])
    func `Numbers are grouped`(_ number: Int64, _ text: String) { #expect(Show.count(number) == text) }
}

@Suite("Metrics")
struct MetricsTests {
    @Test func `Samples have the form that Prometheus reads`() {
        var text = PrometheusText()
        text.add("farm_agents", .gauge, help: "Agents.", [([("name", "a\"b\\c\nd")], 1), ([("name", "e")], 0.5)])
        text.add("up", .counter, help: "Up.", 3)
        #expect(
            text.text == """
                # HELP farm_agents Agents.
                # TYPE farm_agents gauge
                farm_agents{name="a\\"b\\\\c\\nd"} 1
                farm_agents{name="e"} 0.5
                # HELP up Up.
                # TYPE up counter
                up 3

                """)
    }

    @Test func `The process knows what it uses`() {
        let use = ProcessUse.now()
        #expect(use.residentBytes > 1 << 20)
        #expect(use.openFiles > 2)
        #expect(use.cpuSeconds > 0)
    }
}

@Suite("Names of images")
struct ImageNameTests {
    @Test(arguments: [
        ("debian", "debian"), ("debian:latest", "debian"), ("docker.io/library/debian:latest", "debian"), ("library/debian", "debian"),
        ("debian:12", "debian:12"), ("docker.io/team/app", "team/app"),
        ("registry.example.org:5000/app:1", "registry.example.org:5000/app:1"),
    ])
    func `What every tool adds makes no difference`(_ name: String, _ shortest: String) throws {
        #expect(try ImageName(name).description == shortest)
    }

    @Test(arguments: ["", "/", "a//b", "../a", "a b", "a:", "scratch", "é", String(repeating: "a", count: 513)])
    func `What can't be a name is refused`(_ name: String) { #expect(throws: RouteError.self) { try ImageName(name) } }
}
