"""Sends traced calls to an engine at chosen times, and times the answers."""
