"""Statistics that several packages need, each written once (pure): quantiles, batch means, isotonic
and non-negative regression. It knows nothing of LLMs.
"""
