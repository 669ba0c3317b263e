// FarmAPITests
