import BlockingIO
import Glibc

/// `farm submit --call render`: prints a werf.yaml as its template gives it. Nothing is built, and no farm is asked.
public struct RenderCommand: Sendable {
    private let options: SubmitOptions
    private let environment: [String: String]

    public init(options: SubmitOptions, environment: [String: String]) {
        self.options = options
        self.environment = environment
    }

    /// Prints to standard output. Throws ``ClientError``.
    public func run() async throws {
        let (options, environment) = (options, environment)
        let text = try await BlockingPool.shared.run {
            guard let context = BuildSource.realPath(options.context), BuildSource.isDirectory(context) else {
                throw ClientError.usage("the context '\(options.context)' is not a folder")
            }
            guard let config = try WerfSubmission.configuration(options, context: context) else {
                throw ClientError.usage("--call render is for a werf.yaml, and \(context) has none")
            }
            let project = try WerfProject.open(context, isLoose: options.loose, environment: environment)
            defer { project.checkout?.release() }
            return try project.rendering(config, options, environment: environment).text
        }
        Screen.write(text.hasSuffix("\n") ? text : text + "\n", to: STDOUT_FILENO)
    }
}
