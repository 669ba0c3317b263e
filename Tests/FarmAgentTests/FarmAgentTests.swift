// FarmAgentTests
