import FarmAPI

/// One `-o`: what becomes of the result.
public struct OutputSpec: Sendable, Equatable {
    /// What is asked of the coordinator, or files in a folder.
    public enum Form: Sendable, Equatable {
        case archive(ExportType)
        /// The root file system as files.
        case local
        /// Piped into `docker load`.
        case load
    }

    /// Where an archive goes.
    public enum Destination: Sendable, Equatable {
        case standardOutput
        case path(String)
    }

    public var form: Form
    public var destination: Destination

    public init(form: Form, destination: Destination) {
        self.form = form
        self.destination = destination
    }

    /// Reads `type=oci,dest=FILE`, a bare path (files in a folder) or `-` (a tar to standard output).
    public init(parsing text: String) throws(ClientError) {
        if text == "-" {
            self.init(form: .archive(.tar), destination: .standardOutput)
            return
        }
        guard text.contains("=") else {
            guard !text.isEmpty else { throw .usage("-o: expected type=…,dest=…, a folder, or '-'") }
            self.init(form: .local, destination: .path(text))
            return
        }
        var values: [String: String] = [:]
        for field in text.split(separator: ",") {
            guard let equals = field.firstIndex(of: "=") else { throw .usage("-o \(text): '\(field)' is no key=value") }
            values[field[..<equals].lowercased()] = String(field[field.index(after: equals)...])
        }
        guard let type = values.removeValue(forKey: "type") else { throw .usage("-o \(text): 'type' is missing") }
        let dest = values.removeValue(forKey: "dest") ?? values.removeValue(forKey: "destination")
        if let compression = values.removeValue(forKey: "compression"), compression != "uncompressed" {
            throw .usage("-o \(text): compression=\(compression) is not built yet; layers are written uncompressed")
        }
        if let unknown = values.keys.sorted().first { throw .usage("-o \(text): the attribute '\(unknown)' is not built yet") }
        let destination: Destination = dest.map { $0 == "-" ? .standardOutput : .path($0) } ?? .standardOutput
        switch type {
        case "oci": self.init(form: .archive(.oci), destination: destination)
        case "docker": self.init(form: .archive(.docker), destination: destination)
        case "tar": self.init(form: .archive(.tar), destination: destination)
        case "local":
            guard let dest, dest != "-" else { throw .usage("-o \(text): type=local needs dest=FOLDER") }
            self.init(form: .local, destination: .path(dest))
        case "image", "registry":
            throw .usage("-o \(text): type=\(type) is not built yet: Farm does not push to registries; use type=oci or type=docker")
        default: throw .usage("-o \(text): unknown type '\(type)'; there are oci, docker, tar, local")
        }
    }
}
