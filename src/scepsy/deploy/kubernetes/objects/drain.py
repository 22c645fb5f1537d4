"""An engine that is to stop finishes its calls first (pure).

Scepsy's own waves drain a replica before they stop it. Objects that somebody else applies, and
nodes that are emptied, have this hook: callers are told that the pod goes, and the engine gets
SIGTERM once it has no call left.
"""

from __future__ import annotations

from scepsy.deploy.kubernetes.objects.options import PORT, Object, RenderOptions
from scepsy.engines.load import METRICS

NOTICE = 5
"""Seconds between the announcement that a pod goes and its end: callers and Services stop sending
to it, and it still serves.
"""

LAST = 10
"""Seconds that a process has after SIGTERM, beside those in which it finishes its calls."""

_COUNTS = tuple(name for name, field in METRICS.items() if field in ("running", "waiting"))

# An engine that listens on its pod's address alone has it in POD_IP.
_SCRIPT = f"""\
import os, sys, time, urllib.request
until = time.monotonic() + float(sys.argv[1])
url = "http://%s:{PORT}/metrics" % os.environ.get("POD_IP", "127.0.0.1")
time.sleep({NOTICE})
while time.monotonic() < until:
    try:
        lines = urllib.request.urlopen(url, timeout=5).read().decode().splitlines()
    except OSError:
        break
    named = [line.replace("{{", " ").split() for line in lines]
    if not sum(float(one[-1]) for one in named if one and one[0] in sys.argv[2:]):
        break
    time.sleep(1)
"""


def lifecycle(options: RenderOptions) -> Object:
    """The fields of a container for it; none where the grace is too short."""
    wait = options.grace - LAST
    if wait <= NOTICE:
        return {}
    command = ["python3", "-c", _SCRIPT, str(wait), *_COUNTS]
    return {"lifecycle": {"preStop": {"exec": {"command": command}}}}
