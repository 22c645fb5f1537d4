"""Contract suites and hypothesis strategies, for tests here and in other people's code."""
