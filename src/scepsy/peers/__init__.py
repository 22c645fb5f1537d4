"""Our implementations of the published policies of systems that one would use instead.

A strategy is `(Problem) -> Placement | Infeasible`; a policy is a `sim.simulation.Policy`.
"""
