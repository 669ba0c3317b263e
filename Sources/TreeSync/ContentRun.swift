/// A run of bytes that a file has in common with an older version.
public struct ContentRun: Sendable, Equatable {
    /// In the new file.
    public var position: UInt64
    public var length: UInt64
    /// In the old file.
    public var source: UInt64

    public init(position: UInt64, length: UInt64, source: UInt64) {
        self.position = position
        self.length = length
        self.source = source
    }

    /// A range of the new file.
    struct Range: Sendable, Equatable {
        var position: UInt64
        var length: UInt64
        var end: UInt64 { position + length }
    }

    /// What the runs leave open of a file of that size: what has to be sent.
    static func gaps(between runs: [ContentRun], size: UInt64) -> [Range] {
        var gaps: [Range] = []
        var position: UInt64 = 0
        for run in runs {
            if run.position > position { gaps.append(Range(position: position, length: run.position - position)) }
            position = run.position + run.length
        }
        if position < size { gaps.append(Range(position: position, length: size - position)) }
        return gaps
    }

    /// The runs of a file against the oldest of three versions, from those of each against the one before.
    static func composing(_ earlier: [ContentRun], _ later: [ContentRun]) -> [ContentRun] {
        var composed: [ContentRun] = []
        for run in later {
            // The earlier runs are in the order of their positions; the first that ends behind the run's source.
            var low = 0
            var high = earlier.count
            while low < high {
                let middle = (low + high) / 2
                if earlier[middle].position + earlier[middle].length > run.source { high = middle } else { low = middle + 1 }
            }
            while low < earlier.count, earlier[low].position < run.source + run.length {
                let there = earlier[low]
                let start = max(there.position, run.source)
                let end = min(there.position + there.length, run.source + run.length)
                append(
                    ContentRun(
                        position: run.position + (start - run.source), length: end - start, source: there.source + (start - there.position)),
                    to: &composed)
                low += 1
            }
        }
        return composed
    }

    /// Joins it with the one before where they are one.
    static func append(_ run: ContentRun, to runs: inout [ContentRun]) {
        if let last = runs.last, last.position + last.length == run.position, last.source + last.length == run.source {
            runs[runs.count - 1].length += run.length
        } else {
            runs.append(run)
        }
    }
}
