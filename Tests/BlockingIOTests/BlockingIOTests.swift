// BlockingIOTests
