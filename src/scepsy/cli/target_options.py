"""Which options of `scepsy render` each target uses."""

from __future__ import annotations

import click
from click.core import ParameterSource

from scepsy.errors import BadInput

_ALL = frozenset({"--to", "--out", "--name", "--namespace", "--json", "--help"})
_OF_OBJECTS = frozenset({"--epoch"})
_OF_PODS = _OF_OBJECTS | {"--image", "--cpu", "--memory"}
_OTHERS = {
    "ray-serve": frozenset[str](),
    "kserve": _OF_PODS,
    "dynamo": _OF_PODS | {"--queue"},
    "keda-kueue": _OF_OBJECTS | {"--prometheus"},
}
"""What each of them uses beside `_ALL`. Kubernetes uses all but `_NOT_KUBERNETES`."""
_NOT_KUBERNETES = frozenset({"--prometheus"})


def refuse_unused(context: click.Context, target: str) -> None:
    """Raises BadInput where the command line has an option that would change nothing."""
    given = [
        option.opts[0]
        for option in context.command.params
        if isinstance(option, click.Option)
        and context.get_parameter_source(option.name) is ParameterSource.COMMANDLINE
    ]
    for option in given:
        if option not in _ALL and not _uses(target, option):
            raise BadInput(
                f"{option} changes nothing for --to {target}; leave it out (it is for "
                f"{', '.join(_users(option))})"
            )


def _uses(target: str, option: str) -> bool:
    if target == "kubernetes":
        return option not in _NOT_KUBERNETES
    return option in _OTHERS[target]


def _users(option: str) -> list[str]:
    return [f"--to {one}" for one in ("kubernetes", *_OTHERS) if _uses(one, option)]
