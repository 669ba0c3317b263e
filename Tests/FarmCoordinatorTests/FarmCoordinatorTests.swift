// FarmCoordinatorTests
