@testable import GoTemplate

/// The registry's names, for tests.
enum FunctionNames {
    static var all: [String] { Registry.functions.keys.sorted() }
}
