"""What a system puts on the GPUs: replicas that stay, or a pool; how it is simulated, and told."""

from __future__ import annotations

from evaluation import tables
from evaluation.tracing import plan_of
from scepsy.core.plan import Placement
from scepsy.peers.aegaeon import Pool, serving
from scepsy.planning.problem import Problem
from scepsy.sim.cluster.deployment import deployment
from scepsy.sim.cluster.simulation import Simulation

Deployed = Placement | Pool


def simulation_of(deployed: Deployed, problem: Problem, *, contention: bool = True) -> Simulation:
    """With empty queues at time 0. `contention`: whether replicas on one GPU slow one another."""
    if isinstance(deployed, Pool):
        return serving(deployed, problem.needed_llms, problem.cluster)
    plan = plan_of(deployed, problem.llms, problem.cluster)
    simulation = deployment(plan, contention=contention)
    assert isinstance(simulation, Simulation), simulation
    return simulation


def described(deployed: Deployed) -> str:
    """In a few words."""
    return str(deployed) if isinstance(deployed, Pool) else tables.described(deployed.replicas)
