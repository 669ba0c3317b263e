import BuildPlan
import DockerfileFrontend

extension DockerDirective {
    init(_ section: Section) throws(WerfError) {
        _ = try section.bool("exactValues")
        volumes = try section.strings("VOLUME", onlyText: false)
        for path in volumes where path.utf8.first != UInt8(ascii: "/") {
            throw section.error("VOLUME", "'VOLUME: \(path)' is not an absolute path")
        }
        ports = try Self.ports(section, "EXPOSE")
        environment = try Self.variables(section, "ENV")
        labels = try section.pairs("LABEL").map { Variable(name: $0.name, value: $0.value) }
        command = try Self.command(section, "CMD")
        entrypoint = try Self.command(section, "ENTRYPOINT")
        workingDirectory = try Self.directory(section, "WORKDIR")
        user = try section.text("USER")
        if let text = try section.text("HEALTHCHECK") {
            do throws(InstructionValue.Invalid) {
                healthcheck = try InstructionValue.healthcheck(text)
            } catch { throw section.error("HEALTHCHECK", error.description) }
        }
        line = section.line
    }

    static func ports(_ section: Section, _ directive: String) throws(WerfError) -> [String] {
        var ports: Set<String> = []
        for text in try section.strings(directive, onlyText: false) {
            do throws(InstructionValue.Invalid) {
                ports.formUnion(try InstructionValue.ports(text))
            } catch { throw section.error(directive, error.description) }
        }
        return ports.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    }

    static func variables(_ section: Section, _ directive: String) throws(WerfError) -> [Variable] {
        var variables: [Variable] = []
        for pair in try section.pairs(directive) {
            guard !pair.name.isEmpty, pair.name.utf8.allSatisfy({ $0 > 0x20 && $0 != UInt8(ascii: "=") && $0 != 0x7f }) else {
                throw section.error(directive, "'\(pair.name.prefix(60))' is no name of a variable")
            }
            variables.append(Variable(name: pair.name, value: pair.value))
        }
        return variables
    }

    static func directory(_ section: Section, _ directive: String) throws(WerfError) -> String? {
        guard let path = try section.text(directive) else { return nil }
        guard path.utf8.first == UInt8(ascii: "/") else {
            throw section.error(directive, "'\(directive): \(path)' is not absolute: expected a path that begins with /")
        }
        return CleanPath.clean(path)
    }

    // A list is the exec form, a text is what stands after the instruction in a Dockerfile.
    private static func command(_ section: Section, _ directive: String) throws(WerfError) -> Command? {
        guard let value = section.value(directive) else { return nil }
        if case .list = value.content { return .exec(try section.strings(directive)) }
        guard let text = try section.strings(directive).first, !text.isEmpty else { return nil }
        return InstructionValue.words(text).map { .exec($0) } ?? .shell(text)
    }
}
