import Digests
import FoundationEssentials
import Testing

@testable import BuildPlan

struct TreeSelectionTests {
    @Test func `one that was stored without excludes has none, and others come back as they were`() throws {
        let old = Data(#"{"source": {"context": {}}, "path": "a", "wildcards": true}"#.utf8)
        let plain = TreeSelection(source: .context, path: "a", wildcards: true)
        #expect(try JSONDecoder().decode(TreeSelection.self, from: old) == plain)
        let excluding = TreeSelection(source: .stage(1), path: "a", wildcards: true, excludes: ["*.log"])
        #expect(try JSONDecoder().decode(TreeSelection.self, from: JSONEncoder().encode(excluding)) == excluding)
    }

    @Test func `a copy's inputs leave out what the copy leaves out`() {
        let copy = CopyOperation(sources: [.tree("a"), .tree("b")], from: .stage(0), destination: "/", excludes: ["x"])
        #expect(Operation.copy(copy).inputs.map(\.excludes) == [["x"], ["x"]])
    }

    @Test func `what is left out makes another place in the same layers`() {
        let layers = [LayerDescriptor(diffID: Digest.of("a"), size: 1), LayerDescriptor(diffID: Digest.of("b"), size: 1)]
        let places = [[], ["x"], ["x", "y"], ["xy"], ["y", "x"]].map {
            TreeSelection(source: .stage(0), path: "", wildcards: true, excludes: $0).place(in: layers)
        }
        #expect(places[0] == Chain.id(of: layers))
        #expect(Set(places).count == places.count)
    }
}
