// DockerfileFrontend
