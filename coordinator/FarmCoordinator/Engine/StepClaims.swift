import Digests

/// Which assignment makes which step now, and which stages wait for it: a value without clock or I/O.
///
/// An assignment makes one step at a time and has names of that step alone: its key, and the name that it has before all of its inputs'
/// digests are known. A stage that waits makes nothing. So who waits, waits for one that runs, and never the other way round: there is no
/// circle in which all wait.
struct StepClaims {
    /// A stage that wants a step that it would otherwise run itself.
    struct Waiter: Hashable, Sendable {
        var build: String
        var stage: Int
        /// The step's index in that stage.
        var step: Int
        fileprivate var place: Place { Place(build: build, stage: stage) }
    }

    fileprivate struct Place: Hashable {
        var build: String
        var stage: Int
    }

    private var makers: [Digest: String] = [:]
    private var names: [String: Set<Digest>] = [:]
    /// By assignment, in the order in which they came.
    private var waiting: [String: [Waiter]] = [:]
    private var waitsFor: [Place: String] = [:]
    /// Stages in the scheduler's queue, by the step with which they begin.
    private var wanted: [Digest: [Waiter]] = [:]
    private var wants: [Place: [Digest]] = [:]

    /// The assignment makes the step of these names from now on, unless another makes it already.
    /// - Returns: the stages that were queued with that step, in the order in which they came: they need not run it. They are forgotten.
    mutating func claim(_ step: [Digest], by assignment: String) -> [Waiter] {
        var found: [Waiter] = []
        for name in step where makers[name] == nil {
            makers[name] = assignment
            names[assignment, default: []].insert(name)
            for waiter in wanted[name] ?? [] where !found.contains(waiter) { found.append(waiter) }
        }
        for waiter in found { leave(build: waiter.build, stage: waiter.stage) }
        return found
    }

    /// Who makes the step of one of these names.
    func maker(of step: [Digest]) -> String? { step.lazy.compactMap { makers[$0] }.first }

    /// The assignment has made its step, or has ended: it has no names any more.
    /// - Returns: the stages that waited for it, in the order in which they came. They are forgotten.
    mutating func release(_ assignment: String) -> [Waiter] {
        for name in names.removeValue(forKey: assignment) ?? [] { makers[name] = nil }
        let found = waiting.removeValue(forKey: assignment) ?? []
        for waiter in found { waitsFor[waiter.place] = nil }
        return found
    }

    /// The stage is in the queue, and would begin with the step of these names.
    mutating func want(_ step: [Digest], _ waiter: Waiter) {
        leave(build: waiter.build, stage: waiter.stage)
        wants[waiter.place] = step
        for name in step { wanted[name, default: []].append(waiter) }
    }

    /// The stage waits for what the assignment makes.
    mutating func wait(_ waiter: Waiter, for assignment: String) {
        leave(build: waiter.build, stage: waiter.stage)
        waitsFor[waiter.place] = assignment
        waiting[assignment, default: []].append(waiter)
    }

    /// The stage wants and waits for nothing any more.
    mutating func leave(build: String, stage: Int) {
        let place = Place(build: build, stage: stage)
        if let assignment = waitsFor.removeValue(forKey: place) {
            waiting[assignment]?.removeAll { $0.place == place }
            if waiting[assignment]?.isEmpty ?? false { waiting[assignment] = nil }
        }
        for name in wants.removeValue(forKey: place) ?? [] {
            wanted[name]?.removeAll { $0.place == place }
            if wanted[name]?.isEmpty ?? false { wanted[name] = nil }
        }
    }

    /// The stages that wait for what the assignment makes, in the order in which they came.
    func waiters(for assignment: String) -> [Waiter] { waiting[assignment] ?? [] }

    /// What the stage waits for, and with which step.
    func waits(build: String, stage: Int) -> (assignment: String, step: Int)? {
        let place = Place(build: build, stage: stage)
        guard let assignment = waitsFor[place], let waiter = waiting[assignment]?.first(where: { $0.place == place }) else { return nil }
        return (assignment, waiter.step)
    }

    /// Nobody makes, wants or waits for anything.
    var isEmpty: Bool { makers.isEmpty && names.isEmpty && waiting.isEmpty && waitsFor.isEmpty && wanted.isEmpty && wants.isEmpty }
}
