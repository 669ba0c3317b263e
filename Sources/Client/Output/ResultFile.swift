import Glibc

/// Small files that tell scripts the result; written aside and renamed.
enum ResultFile {
    static func write(_ text: String, to path: String, option: String) throws(ClientError) {
        let aside = "\(path).farm-\(getpid())"
        let descriptor = open(aside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw .failed("\(option) \(path): \(String(cString: strerror(errno)))") }
        Screen.write(text, to: descriptor)
        guard close(descriptor) == 0, rename(aside, path) == 0 else {
            let reason = String(cString: strerror(errno))
            unlink(aside)
            throw .failed("\(option) \(path): \(reason)")
        }
    }
}
