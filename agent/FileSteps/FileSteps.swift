// FileSteps
