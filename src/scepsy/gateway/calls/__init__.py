"""The path of a call: read, identify, route, relay, record."""
