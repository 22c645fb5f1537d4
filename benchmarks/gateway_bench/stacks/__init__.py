"""Pass-through proxies without any function, one per HTTP stack: the floor that each stack sets."""
