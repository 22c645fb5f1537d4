"""Contract suites and hypothesis strategies, for the tests of this repository and of other
projects.
"""
