print("farm-agent")
