import TreeSync

/// What an operator may want otherwise.
public struct VolumeSettings: Sendable, Equatable {
    /// Files from so many bytes on get a spare, see ``SpareFiles``; 0 for none. Below 8 MiB nobody knows the blocks of a file.
    public var spareFiles: Int64 = 64 << 20
    /// The share of the disk that stays free where a spare is made.
    public var spareReserve = 0.1
    /// Bytes of one volume's journals, the newest of which is kept in any case. As much as a few changes of all names of a large volume: an
    /// agent that is further behind compares.
    public var journalBytes: Int64 = 128 << 20
    /// So many bytes of older versions may lie below the newest generation, and as many as that one has: then they go.
    public var hiddenBytes: Int64 = 1 << 30
    /// So many files are found by their contents.
    var indexedFiles = ContentIndex.fileLimit
    /// No generation's manifest is larger: nobody would read it.
    var manifestBytes = VolumeManifest.encodedLimit
    /// So many names are kept in memory for comparisons.
    var comparedNames = DigestKeeper.entryLimit
    /// A holder's refusal of a grant that is older than this may be due to its end: another is asked for. Much less than grants last (five
    /// minutes), and more than it takes to use a new one.
    var grantAge = Duration.seconds(60)

    /// So long a publication asks for the head that the coordinator says others have: more than an agent takes to start again, and than one
    /// that is gone is taken for there (setting `lease` of the coordinator). Then what the step wrote is given up.
    public var holderPatience = Duration.seconds(60)

    /// So long a step that begins asks for a generation again whose holder could not be reached, while the coordinator takes that one for
    /// there: it may be starting again. One that is gone is not named any more after the coordinator's `lease` (10 s); one that never can be
    /// reached, behind a firewall, must not cost each step much more.
    public var startPatience = Duration.seconds(20)

    /// Bytes of large sparse files that a generation may have: as many as others bring.
    var sparseLimit = DeltaFetch.sparseLimit

    public init() {}

    var smallestSpare: UInt64 { spareFiles > 0 ? UInt64(spareFiles) : .max }
}
