import Client
import Testing

@Suite("--config before the command") struct LeadingConfigTests {
    @Test(
        arguments: [
            (["--config", "f", "agents"], ["agents", "--config", "f"]),
            (["--config=f", "image", "import", "n", "x"], ["image", "import", "n", "x", "--config=f"]),
            // A name that looks like an option stays behind the end of the options.
            (["--config", "f", "show", "--json", "--", "-b"], ["show", "--json", "--config", "f", "--", "-b"]),
            (["agents", "--config", "f"], ["agents", "--config", "f"]),
            (["--config", "f"], ["--config", "f"]), (["--config"], ["--config"]), (["--configure", "f", "x"], ["--configure", "f", "x"]),
            ([], []),
        ] as [([String], [String])])
    func `it goes to the command`(given: [String], parsed: [String]) {
        #expect(LeadingConfig.moved(given) == parsed)
    }
}
