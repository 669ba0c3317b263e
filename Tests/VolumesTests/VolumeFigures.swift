import FarmAPI
import Glibc
import Testing
import TreeSync

@testable import Volumes

/// How long moving a volume takes, on request: `FARM_VOLUME_FIGURES=60000 swift test -c release -Xswiftc -enable-testing --filter VolumeFigures`.
@Suite(.enabled(if: getenv("FARM_VOLUME_FIGURES") != nil && geteuid() == 0, "by FARM_VOLUME_FIGURES only"), .timeLimit(.minutes(15)))
struct VolumeFigures {
    let key = VolumeKey.test("figures")

    @Test func `a volume of many files moves in the time of its change`() async throws {
        let count = getenv("FARM_VOLUME_FIGURES").flatMap { Int(String(cString: $0)) } ?? 60_000
        try await TestFarm.with { farm in
            let one = try await farm.agent("one")
            let two = try await farm.agent("two")
            try await one.step(key) { try fill($0, count: count) }
            print("publishing \(one.store.size(of: key).files) names, \(one.store.size(of: key).bytes >> 20) MiB")
            await one.service.settle()
            let clock = ContinuousClock()
            func figure(_ name: String) async throws {
                var received: Int64 = 0
                let time = try await clock.measure {
                    let lease = try await two.service.acquire(
                        [VolumeRequest(key: key, sharing: .shared)], assignment: "a", lock: name)
                    received = lease.bytesReceived
                    try await two.service.release(lease)
                }
                await two.service.settle()
                print("\(name): \(time), \(received) bytes")
                #expect(two.store.generation(of: key) == one.store.generation(of: key))
            }
            try await figure("empty destination")
            try await figure("nothing changed")
            for round in 0..<3 {
                let time = try await clock.measure { try await one.step(key) { try change($0, count: count, round: round) } }
                await one.service.settle()
                print("step that changes 1%, adds 1%, removes 0.5%, with publishing: \(time)")
                try await figure("1% changed by generation")
            }
            // The other way: what is behind further than the journal compares.
            await one.stop()
            await two.stop()
        }
    }

    /// Files of 1 to 34 KB in directories of about a hundred.
    private func fill(_ path: String, count: Int) throws {
        let noise = (0..<40_000).map { UInt8(truncatingIfNeeded: ($0 &* 2_654_435_761) >> 13) }
        for index in 0..<count {
            if index % 100 == 0 { try VolumeFiles.makeDirectory("\(path)/d\(index / 100)") }
            let length = 1000 + index * 7919 % 33_000
            try write(Array("\(index)\n".utf8) + noise[(index % 5000)..<(index % 5000 + length)], "\(path)/d\(index / 100)/f\(index)")
        }
    }

    private func change(_ path: String, count: Int, round: Int) throws {
        for index in stride(from: round, to: count, by: 100) {
            try write(Array("changed \(round) \(index)\n".utf8) + [UInt8](repeating: 5, count: 2000), "\(path)/d\(index / 100)/f\(index)")
            try write(Array("new \(round) \(index)\n".utf8) + [UInt8](repeating: 6, count: 9000), "\(path)/d\(index / 100)/n\(round)")
            if index % 200 < 100 { unlink("\(path)/d\(index / 100)/f\(index + 50 - round)") }
        }
    }

    private func write(_ bytes: some Collection<UInt8>, _ path: String) throws {
        let file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard file >= 0 else { throw VolumeError.last("creating", path) }
        defer { close(file) }
        let written = Array(bytes).withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
        guard written == bytes.count else { throw VolumeError.last("writing", path) }
    }
}
