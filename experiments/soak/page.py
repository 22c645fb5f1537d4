"""The report of a soak."""

PAGE = """# A soak of the gateway

Two gateways (processes, one trace directory each) in front of three emulated engines with
{seats} seats each, on loopback. Open-loop traffic at 70% of the
capacity that a closed loop reached just before ({capacity:.1f} calls/s): half of it streamed,
16 to 96 output tokens; 6% of the callers leave, 6% send
nonsense. One thing at a time goes wrong, with 8 s between: a replica is killed for 3 s, a
replica is stopped (SIGSTOP) for 12 s, a gateway is killed for
3 s, a gateway drains (SIGTERM) and is started again. In the last {rest:.0%} gateways are left
alone, so that their memory can be observed. A caller asks
the other gateway where one is gone or goes and nothing of the answer has come.

{seconds:.0f} s, seed {seed}, {day}, on {machine} (shared with other work):

| what | how many |
|---|---|
| calls | {calls} ({sent} sent to replicas by the recorded calls) |
| answered | {ok} |
| left by their callers | {left} |
| nonsense, refused | {refused} |
| cut in the middle of the answer by a killed or stopped replica or a killed gateway | {cut} |
| **lost** (a gateway and a replica could have served them) | **{lost}** |
| **doubled** (answered to the end twice) | **{doubled}** |
| answered, but not recorded: ended within a second before their gateway was killed | {gone} |
| replicas killed / stopped | {kill_replica} / {stop_replica} |
| gateways killed / drained | {kill_gateway} / {end_gateway} |

| gateway | MB when left alone | MB at the end | descriptors: fresh | end | sockets: fresh | end |
|---|---|---|---|---|---|---|
{usage}

{verdict}

Reproduce: `python experiments/gateway_soak.py`; a form of a minute is among the tests.
[Numbers](gateway_soak.json).
"""
