/// The bounds of a rendering. A werf.yaml of hundreds of images stays below a hundredth of each; what reaches one does not end, or
/// was made to harm.
enum Limits {
    /// All files together: a bound of the time to read them.
    static let sourceBytes = 8 << 20
    /// Blocks within blocks, and parentheses within parentheses, as they are written: a bound of the parser's stack.
    static let nesting = 100
    /// Templates, blocks, calls and parentheses under way at a time: a bound of the stack. All of them together took less than 2 MiB
    /// of it where nothing was optimized; threads have 8 MiB.
    static let depth = 500
    /// Nodes, values and comparisons: a bound of the time. A quarter of a second; two where nothing is optimized.
    static let steps = 1_000_000
    /// What a template prints.
    static let outputBytes = 8 << 20
    /// One text, or one list in elements.
    static let valueBytes = 8 << 20
    static let listElements = 1 << 18
    /// All texts, lists and maps together, freed ones too: a bound of memory and of the time of copying.
    static let allocatedBytes = 64 << 20
    /// Lists within lists and maps within maps that are printed, copied or compared.
    static let valueDepth = 200
    /// What a list's element and a map's entry count for.
    static let elementBytes = 48
    /// Instructions of a compiled regular expression, as Go's own bound of 1,000 repetitions has it.
    static let regexInstructions = 20_000
    static let regexRepetitions = 1_000
    /// Each thread of a match keeps where the groups start and end.
    static let regexGroups = 200
    /// Instructions of regular expressions that count as one step: they are cheaper.
    static let regexInstructionsPerStep = 2
    /// Digits after the point and columns that a verb of printf may ask for.
    static let formatWidth = 100_000
    /// An error's text that goes on into the error of the template around it.
    static let messageBytes = 2_000
}
