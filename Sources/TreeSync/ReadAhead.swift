import BlockingIO
import CLinux
import Glibc

// Old versions of files, read from the disk before they are needed, while what is new is on its way: read one after the other, each would
// cost the disk's latency.
extension GenerationFiles {
    /// Where so many of the first are in memory, the others are taken to be, too: finding out costs opening them.
    private static let samples = 16
    /// Of one file; what is longer is read in order by who needs it.
    private static let longest = 4 << 20

    /// Begins to read one file after the other, without waiting for their contents. Blocks. What can't be opened is left to who needs it.
    func readAhead(_ paths: some Sequence<TreePath>, _ interruption: Interruption) {
        var left = Self.samples
        for path in paths {
            if interruption.isSet || left == 0 { return }
            guard let (file, status) = try? open(path) else { continue }
            var byte: UInt8 = 0
            // Once one is not in memory there is no end to it.
            if left <= Self.samples, clinux_read_cached(file.number, &byte, 1, Int64(status.st_size / 2)) == 1 {
                left -= 1
                continue
            }
            left = .max
            posix_fadvise(file.number, 0, min(status.st_size, Self.longest), POSIX_FADV_WILLNEED)
        }
    }
}
