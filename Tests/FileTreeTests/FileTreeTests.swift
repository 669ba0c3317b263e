// FileTreeTests
