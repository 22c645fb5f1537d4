"""SIGTERM and SIGHUP: how the command leaves them, and what they do to forked children."""

from __future__ import annotations

import os
import signal

import pytest

from scepsy.cli import main as entry


def test_a_command_leaves_the_signal_handlers_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["scepsy", "--version"])
    before = [signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGHUP)]
    with pytest.raises(SystemExit):
        entry.main()
    assert [signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGHUP)] == before


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_child_forked_within_a_command_ends_by_sigterm(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def forking(**_: object) -> None:
        ready, started = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.write(started, b"!")
                signal.pause()
            finally:
                os._exit(3)
        os.read(ready, 1)
        os.kill(child, signal.SIGTERM)
        seen.append(os.waitpid(child, 0)[1])

    monkeypatch.setattr(entry.cli, "main", forking)
    with pytest.raises(SystemExit):
        entry.main()
    assert os.WIFSIGNALED(seen[0])
    assert os.WTERMSIG(seen[0]) == signal.SIGTERM
