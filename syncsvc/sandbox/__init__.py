"""The practice rooms: a stateful server for every vendor, with its documented limits and scripted faults."""
