"""Our implementations of the published policies of systems that compete with Scepsy.

A strategy is `(Problem) -> Placement | Infeasible`; a policy is a `sim.simulation.Policy`.
"""
