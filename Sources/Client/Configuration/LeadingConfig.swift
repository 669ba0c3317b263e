/// `farm --config FILE COMMAND …` means the same as `farm COMMAND … --config FILE`: the command's own parser knows whether it takes one.
public enum LeadingConfig {
    private static let option = "--config"

    /// The arguments with a leading `--config FILE` or `--config=FILE` behind the command's own, but before a `--` that ends the options.
    ///
    /// - Parameter arguments: without the program's name.
    public static func moved(_ arguments: [String]) -> [String] {
        guard let first = arguments.first else { return arguments }
        let length = first == option ? 2 : first.hasPrefix(option + "=") ? 1 : 0
        // What is alone stays where it is: the parser says what is missing.
        guard length > 0, arguments.count > length else { return arguments }
        var rest = Array(arguments[length...])
        rest.insert(contentsOf: arguments[..<length], at: rest.firstIndex(of: "--") ?? rest.endIndex)
        return rest
    }
}
