"""The page of an outage: what it counts as lost, and that names in it are escaped."""

from __future__ import annotations

import msgspec

from scepsy.core.cluster import Cluster, Node
from scepsy.report.outage import headline, page, render, sentences
from scepsy.report.outage_data import Outage, SeenCall, SeenRun
from scepsy.testing.deploy_plans import plan_of

BEFORE = plan_of(
    Cluster(nodes=tuple(Node(name=name, gpus=1) for name in ("w1", "w2", "w3"))),
    *(("m", ["w1/0"], 1.0), ("m", ["w2/0"], 1.0)),
)
AFTER = plan_of(
    Cluster(nodes=tuple(Node(name=name, gpus=1) for name in ("w1", "w3"))),
    *(("m", ["w1/0"], 1.0), ("m", ["w3/0"], 1.0)),
)


def seen(at: float, node: str, **more: object) -> SeenCall:
    return SeenCall(llm="m", node=node, start=at, end=at + 0.5, **more)  # pyright: ignore


OUTAGE = Outage(
    node="w2",
    lost_at=10.0,
    served_at=20.0,
    seconds=30.0,
    before=BEFORE,
    after=AFTER,
    calls=(
        *(seen(float(at), "w1") for at in range(30)),
        *(seen(float(at), "w2") for at in range(10)),
        seen(10.1, "w1", attempts=2),
        seen(10.2, "", error="503 <b>", servable=False),
    ),
    runs=(
        SeenRun(workflow="w", start=1.0, latency=2.0),
        SeenRun(workflow="w", start=9.0, latency=5.0, error="503"),
    ),
    machine="two cores",
    took=99.0,
)


def test_a_call_that_nobody_could_serve_is_failed_but_not_lost() -> None:
    assert len(OUTAGE.failed) == 1
    assert OUTAGE.lost == ()
    assert "no call lost" in headline(OUTAGE)
    said = " ".join(sentences(OUTAGE)).replace("\xa0", " ")
    assert "After 10.0 s every replica of the plan served again; 1 replica had moved." in said
    assert "1 call had to be sent to a second replica" in said
    assert "1 run of 2 failed" in said
    assert "meanwhile" not in said
    alone = msgspec.structs.replace(
        OUTAGE, before=plan_of(BEFORE.cluster, ("k", ["w1/0"], 1.0), ("m", ["w2/0"], 1.0))
    )
    assert "Nothing served m meanwhile" in " ".join(sentences(alone))


def test_a_call_that_a_living_replica_could_serve_is_lost() -> None:
    lost = msgspec.structs.replace(
        OUTAGE, calls=(*OUTAGE.calls, seen(11.0, "", error="502", servable=True))
    )
    assert "1 call lost" in headline(lost).replace("\xa0", " ")


def test_what_is_drawn_ends_where_the_node_was_lost() -> None:
    chart = page(OUTAGE).calls
    by_lost_node = next(line for line in chart.lines if line.title == "by w2")
    heights = [float(point.rpartition(",")[2]) for point in by_lost_node.path[1:].split("L")]
    assert heights[0] < heights[-1] == chart.y.start


def test_the_page_is_whole_and_names_are_escaped() -> None:
    html = render(OUTAGE)
    assert "503 &lt;b&gt;" in html
    assert html.count("<svg") >= 5
    assert html.rstrip().endswith("</html>")


def test_it_is_told_when_the_plan_was_not_reached_again() -> None:
    never = msgspec.structs.replace(OUTAGE, served_at=None)
    assert "did not all serve again" in " ".join(sentences(never))
    assert render(never)
