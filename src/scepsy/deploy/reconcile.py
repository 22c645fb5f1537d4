"""The ordered way from the replicas that run to those of a plan (pure).

`next_wave` says what to do now, from what is observed now. It needs no memory of earlier waves, so
a change may be interrupted anywhere and taken up by anybody. `diff` predicts all waves by applying
each of them to the state.
"""

from __future__ import annotations

from scepsy.deploy.changes.actions import Changeover, Refusal, Wave
from scepsy.deploy.changes.limits import Limits
from scepsy.deploy.changes.observed import Observed, Wanted


def next_wave(
    wanted: Wanted, observed: Observed, limits: Limits, *, allow_dip: bool = False
) -> Wave | Refusal:
    """The actions that bring what is `observed` nearer to what is `wanted`, within the `limits`.

    A wave without actions says that everything is as it is wanted. A refusal says why that cannot
    be reached; without `allow_dip` also where the only way leads through too little capacity for
    the load.
    """
    raise NotImplementedError


def diff(
    wanted: Wanted, observed: Observed, limits: Limits, *, allow_dip: bool = False
) -> Changeover:
    """All waves from what is `observed` to what is `wanted`, if every action succeeds. Ask this
    before the first wave: a refusal then comes before anything has been changed.

    `diff(x, x)` has no waves.
    """
    raise NotImplementedError
