// BuildPlanTests
