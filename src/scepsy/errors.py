"""All errors that Scepsy raises on purpose.

    ScepsyError                 exit code 1   base; never raised itself
    ├── BadInput                exit code 2   a file, option or value that Scepsy does not accept
    ├── NotFound                exit code 3   a file, deployment or program that does not exist
    ├── Unreachable             exit code 4   an upstream, engine or gateway that does not answer
    ├── PortInUse               exit code 5   another process listens on the port
    ├── EngineFailed            exit code 6   an engine did not start, or died; quotes its log
    ├── Unmeetable              exit code 7   no plan meets the target; says which constraint binds
    ├── RunsFailed              exit code 8   the driven or traced program itself failed
    ├── CallsCut                exit code 9   calls that outlasted the grace were cut
    ├── Conflict                exit code 10  another process is changing the deployment
    └── CapacityDip             exit code 11  a change leaves less capacity than its load needs

The exit codes are stable. Every message says what was wrong, where, and what to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class ScepsyError(Exception):
    """Base of all. `code` is a stable name, `exit_code` a stable number.

    `would` has sentences on what a change would do that a dry run refuses.
    """

    code = "error"
    exit_code = 1
    would: tuple[str, ...] = ()

    def after(self, told: Iterable[str]) -> ScepsyError:
        """The same error with what the change would do."""
        self.would = tuple(told)
        return self


class BadInput(ScepsyError):
    """A file, option or value that Scepsy does not accept."""

    code = "bad_input"
    exit_code = 2


class NotFound(ScepsyError):
    """A file, deployment or program that does not exist."""

    code = "not_found"
    exit_code = 3


class Unreachable(ScepsyError):
    """A server (upstream, engine or gateway) that does not answer."""

    code = "unreachable"
    exit_code = 4


class PortInUse(ScepsyError):
    """Another process listens on the port."""

    code = "port_in_use"
    exit_code = 5


class EngineFailed(ScepsyError):
    """An engine did not become ready, or died."""

    code = "engine_failed"
    exit_code = 6


class Unmeetable(ScepsyError):
    """No plan meets the target."""

    code = "unmeetable"
    exit_code = 7


class RunsFailed(ScepsyError):
    """The program that was driven or traced failed."""

    code = "runs_failed"
    exit_code = 8


class CallsCut(ScepsyError):
    """What was asked for is done, but calls that outlasted `--grace` were cut on the way."""

    code = "calls_cut"
    exit_code = 9


class Conflict(ScepsyError):
    """Another process is changing the deployment, or owns a part of it."""

    code = "conflict"
    exit_code = 10


class CapacityDip(ScepsyError):
    """A change cannot be made without less capacity than the load needs on the way, and nobody
    allowed that with `--allow-dip`.
    """

    code = "capacity_dip"
    exit_code = 11


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """ "; did you mean plan?" if one of the `known` words is similar, otherwise empty."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean {near[0]}?" if near else ""


def first_of(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first ScepsyError in an exception group, at any depth; where there is none, the first
    OSError; the group itself if it contains neither.
    """
    known = group.subgroup(ScepsyError) or group.subgroup(OSError)
    while known is not None:
        first = known.exceptions[0]
        if not isinstance(first, BaseExceptionGroup):
            return first
        known = first
    return group
