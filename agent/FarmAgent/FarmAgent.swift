// FarmAgent
