import Testing

@testable import GoTemplate

#if canImport(Glibc)
    import Glibc
#endif

@Suite struct FunctionTableDocumentTests {
    /// The table of docs/werf-templates.md as the registry has it.
    static var table: String {
        var lines = ["| family | functions |", "|---|---|"]
        for family in Registry.Family.allCases {
            let names = Registry.functions.filter { $0.value.family == family }.keys.sorted()
            lines.append("| \(family.rawValue) | \(names.map { "`\($0)`" }.joined(separator: " ")) |")
        }
        lines.append("| refused | \(Registry.refused.keys.sorted().map { "`\($0)`" }.joined(separator: " ")) |")
        return lines.joined(separator: "\n")
    }

    @Test("The documentation names the functions that there are, and no others")
    func documentation() throws {
        let root = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        let file = try #require(fopen("/\(root)/docs/werf-templates.md", "r"))
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 1 << 20)
        let count = fread(&bytes, 1, bytes.count, file)
        let text = String(decoding: bytes.prefix(count), as: UTF8.self)
        let hasTable = text.contains(Self.table)
        #expect(hasTable, "docs/werf-templates.md needs this table:\n\(Self.table)")
    }

    @Test("No function is both there and refused")
    func disjoint() {
        #expect(Set(Registry.functions.keys).isDisjoint(with: Registry.refused.keys))
        #expect(Registry.functions.count > 200)
    }
}
