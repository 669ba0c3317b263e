/// What a simulated cluster has to do, and with what. All times in seconds from the beginning, sizes in bytes.
public struct Load: Codable, Sendable {
    /// An agent of the cluster.
    public struct Agent: Codable, Sendable {
        /// When it joins.
        public var joins: Double
        public var slots: Int
        /// Bytes a second that it can receive.
        public var bandwidth: Double
        /// When it dies with all that runs there, and how long until it is back with an empty list of stages and a full disk.
        public var failure: Failure?

        public struct Failure: Codable, Sendable {
            public var at: Double
            public var duration: Double
        }
    }

    /// A stage of a build. Stages refer to earlier ones of the same build.
    public struct Stage: Codable, Sendable {
        /// The kind of the stage in its project: stages of one kind usually take the same time.
        public var kind: Int
        public var dependencies: [Int]
        /// Seconds that it runs once its inputs are there.
        public var duration: Double
        /// Indexes of volumes.
        public var volumes: [Int]
        /// Of the layer that it makes.
        public var layerBytes: Int64
    }

    public struct Build: Codable, Sendable {
        public var arrives: Double
        public var project: Int
        public var user: Int
        public var stages: [Stage]
    }

    public struct Volume: Codable, Sendable {
        public var bytes: Int64
        /// What one use changes.
        public var deltaBytes: Int64
    }

    public var name: String
    public var agents: [Agent]
    public var volumes: [Volume]
    /// Bytes of the base image by project.
    public var bases: [Int64]
    /// In the order of arrival.
    public var builds: [Build]

    public var stageCount: Int { builds.reduce(0) { $0 + $1.stages.count } }

    /// No schedule can end before: the work that arrives from any moment on needs all slots that there will be, and the last stages of a
    /// build wait for the first. Transfers count nothing, and failures neither.
    public var lowerBound: Double {
        var bound = 0.0
        for build in builds { bound = max(bound, build.arrives + Self.criticalPath(build)) }
        let joins = agents.map { ($0.joins, $0.slots) }.sorted { $0.0 < $1.0 }
        var work = 0.0
        for build in builds.reversed() {
            work += build.stages.reduce(0) { $0 + $1.duration }
            bound = max(bound, Self.end(of: work, from: build.arrives, joins))
        }
        return bound
    }

    /// Seconds of the longest chain of stages.
    static func criticalPath(_ build: Build) -> Double {
        var ends: [Double] = []
        for stage in build.stages { ends.append((stage.dependencies.map { ends[$0] }.max() ?? 0) + stage.duration) }
        return ends.max() ?? 0
    }

    /// When so much work is done at the earliest, if all slots work on it from a moment on.
    private static func end(of work: Double, from start: Double, _ joins: [(Double, Int)]) -> Double {
        var (time, left, slots) = (start, work, 0.0)
        for (join, count) in joins {
            if join > time {
                let done = (join - time) * slots
                if done >= left { break }
                left -= done
                time = join
            }
            slots += Double(count)
        }
        return slots > 0 ? time + left / slots : .infinity
    }
}

/// A load from a file that can't be carried out.
public struct LoadError: Error, CustomStringConvertible {
    public var description: String
}

extension Load {
    /// Refuses what the simulator can't do: it comes from a file.
    public func check() throws {
        func require(_ condition: Bool, _ text: @autoclosure () -> String) throws {
            if !condition { throw LoadError(description: "the load '\(name)': \(text())") }
        }
        try require(
            !agents.isEmpty && agents.allSatisfy { $0.slots > 0 && $0.bandwidth > 0 && $0.joins >= 0 },
            "an agent without slots or bandwidth")
        try require(zip(builds, builds.dropFirst()).allSatisfy { $0.arrives <= $1.arrives }, "builds are not in the order of arrival")
        for (number, build) in builds.enumerated() {
            try require(bases.indices.contains(build.project), "build \(number): project \(build.project) has no base")
            for (index, stage) in build.stages.enumerated() {
                try require(stage.duration >= 0 && stage.duration.isFinite, "build \(number): a duration of \(stage.duration)")
                try require(stage.dependencies.allSatisfy { (0..<index).contains($0) }, "build \(number): a stage depends on a later one")
                try require(stage.volumes.allSatisfy { volumes.indices.contains($0) }, "build \(number): a volume that is not there")
            }
        }
    }
}
