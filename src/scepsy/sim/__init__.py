"""Discrete models of the real thing: how long an engine's step takes, and what it does in it."""
