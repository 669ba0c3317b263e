// DockerfileFrontendTests
