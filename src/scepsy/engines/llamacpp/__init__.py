"""A real engine that needs no GPU: llama.cpp's own server, from the xllamacpp wheel."""
