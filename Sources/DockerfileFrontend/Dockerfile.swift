import BuildPlan

/// A Dockerfile that was read: its form is right, its variables are not yet expanded.
public struct Dockerfile: Hashable, Sendable {
    /// Longer files are refused; real ones have some kilobytes.
    public static let maximumBytes = 4 << 20
    /// More are refused, in the file and in a plan with its ONBUILD triggers: time and memory grow with instructions × variables.
    public static let maximumInstructions = 5_000
    /// More are refused: a plan's order is found by comparing all stages with each other, and each carries its base's history.
    public static let maximumStages = 500

    /// For messages.
    public let name: String
    let escape: UInt8
    /// The ARGs before the first FROM.
    let globals: [Instruction]
    let stages: [StageDefinition]
    /// About the text itself.
    let warnings: [String]

    /// Reads a Dockerfile, in time proportional to its length.
    ///
    /// - Parameter name: the file's name for messages.
    /// - Throws: the first error, with its lines.
    public init(parsing text: String, name: String) throws(DockerfileError) {
        guard text.utf8.count <= Self.maximumBytes else {
            throw DockerfileError(
                file: name, message: "the file has \(text.utf8.count) bytes: expected at most \(Self.maximumBytes)", lines: nil)
        }
        let reader: LineReader
        do throws(LocatedComplaint) {
            reader = try LineReader(text)
        } catch {
            throw DockerfileError(file: name, message: error.complaint.message, lines: error.lines)
        }
        if reader.lines.count > Self.maximumInstructions {
            let message = "the file has \(reader.lines.count) instructions: expected at most \(Self.maximumInstructions)"
            throw DockerfileError(file: name, message: message, lines: nil)
        }
        let parser = InstructionParser(escape: reader.directives.escape)
        var globals: [Instruction] = []
        var stages: [StageDefinition] = []
        for line in reader.lines {
            let instruction: Instruction
            do throws(Complaint) {
                instruction = try parser.parse(line)
                if stages.isEmpty {
                    switch instruction.kind {
                    case .from, .arg: break
                    default:
                        throw Complaint("\(line.keyword) before the first FROM: only ARG may stand there")
                    }
                }
            } catch {
                throw DockerfileError(file: name, message: error.message, lines: line.lines)
            }
            if case .from(let image, let stageName, let platform) = instruction.kind {
                guard stages.count < Self.maximumStages else {
                    throw DockerfileError(file: name, message: "the file has more than \(Self.maximumStages) stages", lines: line.lines)
                }
                stages.append(
                    StageDefinition(index: stages.count, image: image, givenName: stageName, platform: platform, from: instruction))
            } else if stages.isEmpty {
                globals.append(instruction)
            } else {
                stages[stages.count - 1].instructions.append(instruction)
            }
        }
        guard !stages.isEmpty else { throw DockerfileError(file: name, message: "the file has no FROM: a build needs a base", lines: nil) }
        self.name = name
        self.escape = reader.directives.escape
        self.globals = globals
        self.stages = stages
        warnings =
            reader.emptyContinuations.map { "\(name):\($0): an empty line inside a continued instruction will become an error" }
            + stages.flatMap(\.instructions).compactMap(\.deprecation).map { "\(name):\($0)" }
    }

    /// The names after AS in the order of the file: what `--target` may name.
    public var stageNames: [String] { stages.compactMap(\.givenName) }
}

/// FROM and the instructions after it.
struct StageDefinition: Hashable, Sendable {
    /// The number of the FROM in the file.
    let index: Int
    let image: String
    /// In lower case.
    let givenName: String?
    let platform: String?
    let from: Instruction
    var instructions: [Instruction] = []

    var name: String { givenName ?? "stage-\(index)" }
}

extension Instruction {
    /// A warning with the line in front.
    fileprivate var deprecation: String? {
        switch kind {
        case .maintainer: "\(lines.lowerBound): MAINTAINER is deprecated: use LABEL org.opencontainers.image.authors=…"
        case .env(_, legacy: true): "\(lines.lowerBound): ENV name value is deprecated: write ENV name=value"
        default: nil
        }
    }
}
