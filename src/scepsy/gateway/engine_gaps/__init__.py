"""Checks that the gateway makes, and priorities that it sets, because an engine does not."""
