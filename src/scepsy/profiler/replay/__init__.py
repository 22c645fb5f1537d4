"""Sends traced calls to an engine at chosen times, and measures how long the answers take."""
