"""Charts as values in pixels: axes, load curves, profile curves, spans, time shares."""
