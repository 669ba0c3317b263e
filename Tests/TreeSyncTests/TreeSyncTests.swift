// TreeSyncTests
