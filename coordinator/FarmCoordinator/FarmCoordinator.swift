// FarmCoordinator
