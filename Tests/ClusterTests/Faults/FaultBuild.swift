import Glibc
import Testing

/// What is built while something goes wrong. Each gives the same layers at each run, whatever happens to the farm.
enum FaultBuild: String, CaseIterable, Sendable {
    /// Steps one after another, with output and files of the context.
    case chain
    /// Stages that run at the same time, and one that takes from both.
    case diamond
    /// A locked volume: it is looked at, and written.
    case volume
    /// Two builds that want the same two volumes for themselves, in opposite order.
    case locks
    /// A context that nobody has seen.
    case upload
    /// A step that fails by itself.
    case failure

    static let project = "faults"
    /// So many lines has the output of a chain.
    static let lines = 8

    /// The Dockerfiles, each of which is submitted at the same time.
    ///
    /// - Parameters:
    ///   - marker: in the command line of every process of a step.
    ///   - round: what a volume's files are told apart by.
    func dockerfiles(marker: String, round: String) -> [String] {
        // Nothing of a step's result may depend on the time at which it ran. COPY gives a directory into which it
        // puts something the time of the copy.
        let still = "touch -d @1000000000"
        let begin = ": \(marker);"
        switch self {
        case .chain:
            return [
                """
                FROM busybox
                COPY files /
                RUN \(begin) for i in $(seq 1 \(Self.lines)); do echo line $i end; sleep 0.1; done; mkdir /one && cat /in-* > /one/all && \
                    \(still) /one/all /one /
                RUN \(begin) sleep 0.3; sha256sum < /one/all > /one/sum && \(still) /one/sum /one
                RUN \(begin) sleep 0.3; mkdir /two && cp /one/sum /two && \(still) /two/sum /two /
                WORKDIR /two
                """
            ]
        case .diamond:
            func side(_ name: String) -> String {
                """
                FROM busybox AS \(name)
                RUN \(begin) sleep 0.5; mkdir /out && yes \(name) | head -c 1500000 > /out/\(name) && \(still) /out/\(name) /out /
                RUN \(begin) sleep 0.2; sha256sum < /out/\(name) > /out/\(name).sum && \(still) /out/\(name).sum /out
                """
            }
            return [
                """
                \(side("left"))
                \(side("right"))
                FROM busybox
                COPY --from=left /out /
                COPY --from=right /out /
                RUN \(begin) sleep 0.2; cat /left* /right* | sha256sum > /both && \(still) /both /
                """
            ]
        case .volume:
            return [
                """
                FROM busybox
                RUN --mount=type=cache,target=/cache,sharing=locked \(begin) cd /cache && \(Self.check) && \
                    for i in 1 2 3; do dd if=/dev/urandom of=new bs=64k count=4 2>/dev/null && mv new $(sha256sum < new | cut -c1-64).bin; done; \
                    sleep 0.5; ls -t *.bin | tail -n +13 | xargs -r rm; touch done-\(round)-0 && echo ok > /ok && \(still) /ok /
                RUN \(begin) sleep 0.2; cp /ok /ok2 && \(still) /ok2 /
                """
            ]
        case .locks:
            // Who is alone in both sees no other's file in either.
            let alone = """
                for v in a b; do test ! -e /$v/held || { echo NOT ALONE in $v: $(cat /$v/held); exit 9; }; echo $$ > /$v/held; done; sleep 0.5; \
                rm /a/held /b/held
                """
            return zip(["target=/a", "target=/b"], ["target=/b", "target=/a"]).enumerated().map { number, targets in
                """
                FROM busybox
                RUN --mount=type=cache,\(targets.0),sharing=locked --mount=type=cache,\(targets.1),sharing=locked \
                    \(begin) \(alone) && touch /a/done-\(round)-\(number) /b/done-\(round)-\(number) && \
                    echo \(number) > /ok && \(still) /ok /
                """
            }
        case .upload:
            return ["FROM busybox\nCOPY files /\nRUN \(begin) cat /in-* | sha256sum > /sum && \(still) /sum /\n"]
        case .failure:
            return ["FROM busybox\nRUN \(begin) echo before the end; sleep 0.7; exit 7\nRUN \(begin) touch /never\n"]
        }
    }

    /// Every file of a volume has the name of its content.
    static let check = """
        { for f in *.bin; do test ! -e $f || test $(sha256sum < $f | cut -c1-64).bin = $f || { echo DAMAGED $f; exit 9; }; done; }
        """

    /// The volumes that it writes to, by their targets.
    var volumes: [String] {
        switch self {
        case .volume: ["/cache"]
        case .locks: ["/a", "/b"]
        default: []
        }
    }

    /// Writes what it reads.
    func writeContext(_ context: TemporaryFolder, _ random: inout SeededGenerator) throws {
        switch self {
        case .chain:
            var same = SeededGenerator(seed: 1)
            try Self.write(files: 40, of: 20_000, to: context, &same)
        case .upload: try Self.write(files: 150, of: 40_000, to: context, &random)
        default: break
        }
    }

    private static func write(files: Int, of size: Int, to context: TemporaryFolder, _ random: inout SeededGenerator) throws {
        for number in 0..<files {
            var bytes: [UInt8] = []
            bytes.reserveCapacity(size)
            while bytes.count < size { withUnsafeBytes(of: random.next()) { bytes += $0 } }
            let path = try context.write(bytes, to: "files/in-\(number)")
            var times = [timespec(tv_sec: 1_000_000_000, tv_nsec: 0), timespec(tv_sec: 1_000_000_000, tv_nsec: 0)]
            utimensat(AT_FDCWD, path, &times, 0)
        }
        var times = [timespec(tv_sec: 1_000_000_000, tv_nsec: 0), timespec(tv_sec: 1_000_000_000, tv_nsec: 0)]
        utimensat(AT_FDCWD, context.path("files"), &times, 0)
    }
}
