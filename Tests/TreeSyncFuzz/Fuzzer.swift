import Digests
import Glibc

@testable import TreeSync

/// libFuzzer's entry: one input for the target that `FARM_FUZZ_TARGET` names. See `deploy/fuzz.sh`.
///
/// An input is what is inside the frame and before the digest; both are made here, so that changes get behind them.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = Array(UnsafeBufferPointer(start: start, count: count))
    do {
        let dressed = try Fuzzer.target.dressed(bytes)
        try Fuzzer.target.take(dressed, Fuzzer.bench)
    } catch is TreeSyncError {
        // Refused, or the file system did.
    } catch {
        fatalError("\(Fuzzer.target): \(error)")
    }
    Fuzzer.checkThatNothingElseWasTouched()
    return 0
}

/// Called once, before anything is read: puts an example that is taken beside the other beginnings, in the file `FARM_FUZZ_EXAMPLE`.
@_cdecl("LLVMFuzzerInitialize")
public func fuzzInitialize(_ count: UnsafeMutablePointer<CInt>?, _ arguments: UnsafeMutableRawPointer?) -> CInt {
    guard let path = getenv("FARM_FUZZ_EXAMPLE"), let output = fopen(path, "w") else { return 0 }
    defer { fclose(output) }
    do {
        var example = try Fuzzer.target.example(Fuzzer.bench)
        if Fuzzer.target.isSealed { example.removeLast(Digest.byteCount) }
        _ = example.withUnsafeBytes { fwrite($0.baseAddress, 1, $0.count, output) }
    } catch { fatalError("no example: \(error)") }
    return 0
}

private enum Fuzzer {
    static let target: FuzzTarget = {
        guard let name = getenv("FARM_FUZZ_TARGET").map({ String(cString: $0) }), let target = FuzzTarget(rawValue: name) else {
            let names = FuzzTarget.allCases.map(\.rawValue).joined(separator: ", ")
            fatalError("FARM_FUZZ_TARGET has to be one of \(names)")
        }
        return target
    }()

    static let bench: FuzzTarget.Bench = {
        do {
            let bench = try FuzzTarget.Bench()
            // Names of what is made besides are there from now on.
            _ = try target.example(bench)
            return bench
        } catch { fatalError("no bench: \(error)") }
    }()

    private static let directories = ["outside", "generation", "generation/d"]
    private static let before = directories.map(changed)

    /// When a name came or went there last.
    private static func changed(_ directory: String) -> [Int] {
        var status = stat()
        guard lstat("\(bench.folder)/\(directory)", &status) == 0 else { fatalError("\(directory) is gone") }
        return [status.st_ctim.tv_sec, status.st_ctim.tv_nsec]
    }

    static func checkThatNothingElseWasTouched() {
        guard directories.map(changed) == before else { fatalError("\(target): something outside of the transfer was touched") }
    }
}
