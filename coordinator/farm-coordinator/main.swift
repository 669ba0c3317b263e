print("farm-coordinator")
