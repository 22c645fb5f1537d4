"""vLLM: on GPUs as its users have it, and on CPUs for tests and demonstrations."""
