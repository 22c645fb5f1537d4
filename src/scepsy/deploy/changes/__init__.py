"""How a running deployment changes into a plan: matching, ledger, floors and waves (pure).

The public functions are in `scepsy.deploy.reconcile`. Nothing here does I/O or reads a clock, so
the same code decides for every backend.
"""
