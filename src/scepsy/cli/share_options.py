"""What `scepsy plan` says of its options on GPU shares."""

from __future__ import annotations

import click
from click.core import ParameterSource

from scepsy.cli.terminal import echo
from scepsy.core.cluster import Cluster
from scepsy.core.profile import Profile
from scepsy.errors import BadInput

# The warning for --share-groups.
SHARED_GROUPS = (
    "parts of TP groups: nobody has measured how engines that share each GPU of a group slow one "
    "another down; all-reduces on shared multiprocessors are taken to cost nothing more"
)


def check_share_options(cluster: Cluster, *, share_groups: bool) -> None:
    """Raises BadInput for options on shares where the cluster says which ones there are."""
    if not cluster.divisions:
        return
    step = click.get_current_context().get_parameter_source("share_step")
    for option, given in (
        ("--share-step", step is ParameterSource.COMMANDLINE),
        ("--share-groups", share_groups),
    ):
        if given:
            raise BadInput(
                f"{option}: the nodes of the cluster divide their GPUs into equal shares "
                "(shares_per_gpu), so there are no others; leave it out, or remove shares_per_gpu"
            )


def warn_of_shared_groups(profile: Profile) -> None:
    """What is to be known of --share-groups."""
    echo(f"warning: {SHARED_GROUPS}", err=True)
    if not any(curve.tp > 1 and curve.gpu_share < 1 for curve in profile.curves):
        echo(
            "warning: the profile has no parts of TP groups, so none will be planned; "
            "`scepsy profile` and `scepsy estimate` take --share-groups too",
            err=True,
        )
