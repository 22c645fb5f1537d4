"""The HTML report: a plan, its prediction and the measurements, on one self-contained page."""
