"""Statistics that several packages need, each in one place: quantiles, batch means, isotonic and
non-negative regression (pure). It knows nothing of LLMs.
"""
