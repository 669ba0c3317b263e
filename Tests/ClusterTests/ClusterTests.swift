// ClusterTests
