// FileStepsTests
