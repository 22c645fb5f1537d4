"""The nouns: frozen records without algorithms.

SI units in floats (seconds, bytes, requests per second).
"""
