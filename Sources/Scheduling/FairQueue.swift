/// Waiting stages in the order of fair shares: of projects by their weights, of a project's users, of a user's builds by their priorities,
/// and within a build in the order of arrival.
///
/// Each level is start-time fair queueing (Goyal, Vin, Cheng 1996): who has had the least service for its weight comes next; who was away
/// comes back at the present level, without credit and without debt of others. So among n that have work, one with weight w of W together has
/// its next turn after W/w + n - 1 stages at most (its own among them), however long the others' queues are. Those n are the ones that wait at
/// the same time: who comes, is served and goes moves the level on, so that an endless row of newcomers passes nobody for ever.
///
/// Costs are seconds of a slot: expected ones when a stage is taken, put right by ``charge(_:_:)`` when it has ended.
struct FairQueue: Sendable {
    private struct Node: Sendable {
        var parent: Int
        var weight: Double
        /// Service had, in seconds divided by the weight.
        var pass: Double
        /// Of the children: where newcomers begin. The pass of the one that was served last, or more.
        var level: Double = 0
        /// Of the children that are active: the sum of their weights.
        var activeWeight: Double = 0
        /// Where it begins, from its parent's level: what has priority begins before others that have had nothing yet.
        var start: Double = 0
        /// Changes with the pass and with being active: older entries in the parent's heap are void.
        var version = 0
        var isActive = false
        /// Stages in it and below that wait.
        var waiting = 0
        /// Of a project: those that were taken and not given back.
        var taken = 0
        var limit = Int.max
        var children: Heap<Turn>
        /// Of a build.
        var stages: [String] = []
        var next = 0
        var name: String
    }

    private struct Turn: Sendable {
        var pass: Double
        var order: Int
        var node: Int
        var version: Int

        static func isBefore(_ a: Turn, _ b: Turn) -> Bool { a.pass != b.pass ? a.pass < b.pass : a.order < b.order }
    }

    private struct Path: Hashable, Sendable {
        var parent: Int
        var name: String
    }

    private var nodes: [Node]
    private var free: [Int] = []
    private var indexes: [Path: Int] = [:]
    private var order = 0
    private let policy: SchedulingPolicy

    private static let root = 0

    init(policy: SchedulingPolicy) {
        self.policy = policy
        nodes = [Node(parent: -1, weight: 1, pass: 0, children: Heap(by: Turn.isBefore), name: "")]
    }

    /// Stages that wait, also those of projects at their limit.
    var count: Int { nodes[Self.root].waiting }

    /// Puts a stage behind the others of its build.
    mutating func append(_ stage: String, _ owner: StageOwner) {
        let project = node(Self.root, owner.project, weight: policy.weight(of: owner.project), limit: policy.limit(of: owner.project))
        let user = node(project, owner.user, weight: policy.weight(ofUser: owner.user))
        let build = node(user, owner.build, weight: Self.share(owner), start: policy.unknownDuration * (1 / Self.share(owner) - 1))
        nodes[build].stages.append(stage)
        var current = build
        while current >= 0 {
            nodes[current].waiting += 1
            if current != Self.root { activate(current) }
            current = nodes[current].parent
        }
    }

    /// Takes the stage whose turn it is, without a charge; nil when none waits, or only such of projects at their limit.
    mutating func popFirst() -> String? {
        guard let project = turn(of: Self.root), let user = turn(of: project), let build = turn(of: user) else { return nil }
        let stage = nodes[build].stages[nodes[build].next]
        nodes[build].next += 1
        // The list is an array with a moving head; what was taken goes when it is most of it.
        if nodes[build].next > 32, nodes[build].next * 2 > nodes[build].stages.count {
            nodes[build].stages.removeFirst(nodes[build].next)
            nodes[build].next = 0
        }
        nodes[project].taken += 1
        for current in [build, user, project] {
            let parent = nodes[current].parent
            nodes[parent].level = max(nodes[parent].level, nodes[current].pass)
        }
        leave([build, user, project])
        return stage
    }

    /// Charges the owners of a stage: what it is expected to cost when it is taken, and the difference to its real cost, which may be less
    /// than nothing, when it has ended. Seconds of a slot.
    mutating func charge(_ owner: StageOwner, _ seconds: Double) {
        // Stages of builds with priority are cheaper for the user too: so priority counts on both levels, and not between projects.
        for (level, current) in path(of: owner).reversed().enumerated() {
            // The project, its user, the user's build.
            let weight =
                switch level {
                case 0: nodes[current].weight
                case 1: nodes[current].weight * Self.share(owner)
                default: Self.share(owner)
                }
            nodes[current].pass += seconds / weight
            if seconds > 0, nodes[current].waiting == 0 { advance(nodes[current].parent, by: seconds, weight: weight) }
            if nodes[current].isActive { offer(current) }
        }
        // A build is forgotten with its last stage.
        if seconds > 0, path(of: owner).count == 2, let user = path(of: owner).first {
            advance(user, by: seconds, weight: Self.share(owner))
        }
    }

    /// Somebody who has nothing more that waits was served: the level rises as much as it does on average for those that still wait.
    private mutating func advance(_ parent: Int, by seconds: Double, weight: Double) {
        nodes[parent].level += seconds / (nodes[parent].activeWeight + weight)
    }

    /// A taken stage has ended, or waits no more for an agent: its project may have another.
    mutating func giveBack(_ owner: StageOwner) {
        guard let project = indexes[Path(parent: Self.root, name: owner.project)] else { return }
        nodes[project].taken = max(0, nodes[project].taken - 1)
        activate(project)
    }

    /// Takes a stage out that waits.
    /// - Returns: false where it is not here.
    mutating func remove(_ stage: String, _ owner: StageOwner) -> Bool {
        let path = path(of: owner)
        guard path.count == 3, let build = path.first,
            let index = nodes[build].stages[nodes[build].next...].firstIndex(of: stage)
        else { return false }
        nodes[build].stages.remove(at: index)
        leave(path)
        return true
    }

    // MARK: Nodes

    /// From the build up to the project: those that are there.
    private func path(of owner: StageOwner) -> [Int] {
        guard let project = indexes[Path(parent: Self.root, name: owner.project)] else { return [] }
        guard let user = indexes[Path(parent: project, name: owner.user)] else { return [project] }
        guard let build = indexes[Path(parent: user, name: owner.build)] else { return [user, project] }
        return [build, user, project]
    }

    private static func share(_ owner: StageOwner) -> Double {
        owner.priority >= 0 ? Double(1 << owner.priority) : 1 / Double(1 << -owner.priority)
    }

    private mutating func node(_ parent: Int, _ name: String, weight: Double, limit: Int = .max, start: Double = 0) -> Int {
        let path = Path(parent: parent, name: name)
        if let known = indexes[path] { return known }
        var node = Node(
            parent: parent, weight: weight, pass: nodes[parent].level + start, limit: limit, children: Heap(by: Turn.isBefore), name: name)
        node.start = start
        let index: Int
        if let reused = free.popLast() {
            index = reused
            // Turns of the one that was here before are still in the heap, and must not count for this one.
            node.version = nodes[index].version
            nodes[index] = node
        } else {
            index = nodes.count
            nodes.append(node)
        }
        indexes[path] = index
        return index
    }

    /// Makes it one of those that get turns, where it has something to give.
    private mutating func activate(_ index: Int) {
        guard !nodes[index].isActive, nodes[index].waiting > 0, nodes[index].taken < nodes[index].limit else { return }
        let parent = nodes[index].parent
        nodes[index].pass = max(nodes[index].pass, nodes[parent].level + nodes[index].start)
        nodes[index].isActive = true
        nodes[parent].activeWeight += nodes[index].weight
        offer(index)
    }

    private mutating func deactivate(_ index: Int) {
        guard nodes[index].isActive else { return }
        nodes[index].isActive = false
        let parent = nodes[index].parent
        nodes[parent].activeWeight = max(0, nodes[parent].activeWeight - nodes[index].weight)
    }

    private mutating func offer(_ index: Int) {
        nodes[index].version += 1
        order += 1
        nodes[nodes[index].parent].children.insert(
            Turn(pass: nodes[index].pass, order: order, node: index, version: nodes[index].version))
    }

    /// The child whose turn it is.
    private mutating func turn(of parent: Int) -> Int? {
        while let turn = nodes[parent].children.first {
            let child = nodes[turn.node]
            if child.parent == parent, child.isActive, child.version == turn.version {
                if child.taken < child.limit, child.waiting > 0 { return turn.node }
                deactivate(turn.node)
            }
            _ = nodes[parent].children.popFirst()
        }
        return nil
    }

    /// A stage has left the build: fewer wait on all levels.
    private mutating func leave(_ path: [Int]) {
        nodes[Self.root].waiting -= 1
        for current in path {
            nodes[current].waiting -= 1
            if nodes[current].waiting == 0 { deactivate(current) }
        }
        // A build without stages is forgotten: what it had counts with its user.
        if let build = path.first, nodes[build].waiting == 0 {
            indexes[Path(parent: nodes[build].parent, name: nodes[build].name)] = nil
            nodes[build].version += 1
            nodes[build].parent = -1
            nodes[build].stages = []
            free.append(build)
        }
    }
}
