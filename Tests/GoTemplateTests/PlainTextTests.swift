import GoTemplate
import Testing

@Suite struct PlainTextTests {
    @Test("A text without actions is rendered as it is")
    func plain() throws {
        let template = try WerfTemplate(files: [("werf.yaml", "configVersion: 1\nproject: x\n")], main: "werf.yaml")
        #expect(try template.render(TemplateContext()) == "configVersion: 1\nproject: x\n")
    }

    @Test("A main file that is not there is an error with its name")
    func missing() {
        #expect(throws: TemplateError.self) { try WerfTemplate(files: [], main: "werf.yaml") }
    }
}
