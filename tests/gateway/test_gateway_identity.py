from __future__ import annotations

import pytest

from scepsy.gateway.identity.labels import Address, Identity, identify, locate, trace_id
from scepsy.gateway.identity.lineage import Clues, Lineage
from scepsy.gateway.wire.lenient_json import Json

NOBODY = Identity()
TRACE = "0af7651916cd43dd8448eb211c80319c"
W3C = f"00-{TRACE}-b7ad6b7169203331-01"


@pytest.mark.parametrize(
    ("path", "address"),
    [
        ("/v1/chat/completions", Address("/v1/chat/completions")),
        ("/rerank", Address("/rerank")),
        ("/w/rag/v1/score", Address("/v1/score", "rag")),
        ("/w/rag/score", Address("/score", "rag")),
        ("/w/rag/run7/v1/score", Address("/v1/score", "rag", "run7")),
        ("/w/rag/run7/rerank", Address("/rerank", "rag", "run7")),
        ("/w/rag/v1/v1/rerank", Address("/v1/rerank", "rag", "v1")),
        ("/w/a%2Fb/r%20x/v1/models", Address("/v1/models", "a/b", "r x")),
        ("/w/rag/v1/models/x", Address("/v1/models/x", "rag")),
        ("/w/rag", Address("/w/rag")),
        ("/w/rag/run7/v1/nonsense", Address("/run7/v1/nonsense", "rag")),
    ],
)
def test_a_path_says_workflow_and_run(path: str, address: Address):
    assert locate(path) == address


def test_the_most_reliable_identification_counts():
    signs = {
        "x-scepsy-run": "h",
        "baggage": "other=1, scepsy.run=b%2D1;p=1,scepsy.workflow=wb",
        "x-session-id": "s",
    }
    address = Address("/v1/score", "wu", "u")
    fields: dict[str, Json] = {"metadata": {"scepsy_run": "m", "scepsy_workflow": "wm"}}
    assert identify(signs, address, fields) == Identity("h", "wu", "header", 1.0)
    del signs["x-scepsy-run"]
    assert identify(signs, address, fields) == Identity("u", "wu", "url", 1.0)
    bare = Address("/v1/score")
    assert identify(signs, bare, fields) == Identity("b-1", "wb", "baggage", 1.0)
    del signs["baggage"]
    assert identify(signs, bare, fields) == Identity("m", "wm", "metadata", 1.0)
    assert identify(signs, bare, {}) == Identity("s", None, "session", 0.8)
    assert identify({}, bare, {"metadata": "odd"}) == NOBODY


def test_headers_that_frameworks_send_identify_runs():
    crew = {"baggage": "crew_context=id%3D77aa"}
    assert identify(crew, Address("/"), {}).run == "77aa"
    child = {"x-session-id": "child", "x-parent-session-id": "parent"}
    assert identify(child, Address("/"), {}).run == "parent"
    assert trace_id({"traceparent": W3C}) == TRACE
    assert trace_id({"traceparent": "nonsense"}) is trace_id({}) is None


def test_a_call_that_names_its_run_is_believed_and_gets_a_workflow():
    lineage = Lineage(5.0, "default")
    named = lineage.begin(Identity("r", None, "header", 1.0), Clues("c"), 0.0)
    assert named == Identity("r", "default", "header", 1.0)


def test_calls_close_in_time_are_one_run_and_a_quiet_gap_ends_it():
    lineage = Lineage(5.0, "w")
    client = Clues("10.0.0.1")
    first = lineage.begin(NOBODY, client, 0.0)
    overlapping = lineage.begin(NOBODY, client, 100.0)  # the first is still open
    assert (overlapping.run, overlapping.layer, overlapping.confidence) == (first.run, "time", 0.3)
    lineage.end(first, client, 101.0, ())
    lineage.end(overlapping, client, 102.0, ())
    soon = lineage.begin(NOBODY, client, 107.0)
    assert soon.run == first.run
    lineage.end(soon, client, 107.5, ())
    assert lineage.begin(NOBODY, client, 112.6).run != first.run
    assert lineage.begin(NOBODY, Clues("10.0.0.2"), 112.6).run != first.run
    assert lineage.begin(Identity(workflow="v"), client, 112.6).workflow == "v"


def test_time_joins_the_one_run_there_is_and_refuses_between_two():
    lineage = Lineage(5.0, "w")
    client = Clues("c")
    lineage.begin(Identity("a", "w", "header", 1.0), client, 0.0)
    assert lineage.begin(NOBODY, client, 1.0).run == "a"
    second = lineage.begin(Identity("b", "w", "header", 1.0), client, 2.0)
    unknown = lineage.begin(NOBODY, client, 3.0)
    assert unknown == Identity(None, "w", "none", 0.0)
    lineage.end(unknown, client, 3.5, ())
    lineage.end(second, client, 4.0, ())
    assert lineage.begin(NOBODY, client, 20.0).run == "a"


def test_a_call_that_opens_as_the_active_run_did_may_begin_another():
    lineage = Lineage(5.0, "w")
    asks = [Clues("c", prompt=text, opening=text[:10]) for text in ("Question: a", "Question: b")]
    other = Clues("c", prompt="Rank these", opening="Rank these")
    first = lineage.begin(NOBODY, asks[0], 0.0)
    assert lineage.begin(NOBODY, other, 1.0).run == first.run
    assert lineage.begin(NOBODY, asks[1], 2.0).layer == "none"
    # From now on there are two.
    assert lineage.begin(NOBODY, other, 3.0).layer == "none"


def test_a_run_opened_by_itself_is_less_sure_than_one_that_was_named():
    auto = {"x-scepsy-run": "r", "x-scepsy-workflow": "w", "x-scepsy-opened": "auto"}
    assert identify(auto, Address("/"), {}) == Identity("r", "w", "auto", 0.9)
    assert identify(auto, Address("/", "w", "u"), {}).run == "u"


def test_an_id_that_a_server_issued_is_proof_until_two_runs_have_it():
    lineage = Lineage(5.0, "w")
    for run in ("a", "b"):
        named = lineage.begin(Identity(run, "v", "url", 1.0), Clues("c"), 0.0)
        lineage.end(named, Clues("c"), 1.0, (f"call_{run}", "call_0"))
    echo = Clues("elsewhere", ("call_a", "unknown"))
    assert lineage.begin(NOBODY, echo, 99.0) == Identity("a", "v", "echo", 0.9)
    for ids in (("call_0",), ("call_a", "call_b"), ("unknown",)):
        assert lineage.begin(NOBODY, Clues("nowhere", ids), 99.0).layer == "time"


def test_a_trace_id_counts_from_its_second_call_on():
    lineage = Lineage(5.0, "w")
    traced = Clues("c", trace_id=TRACE)
    first = lineage.begin(NOBODY, traced, 0.0)
    assert first.layer == "time"
    second = lineage.begin(NOBODY, traced, 99.0)
    assert (second.run, second.layer, second.confidence) == (first.run, "traceparent", 0.5)
    other = lineage.begin(NOBODY, Clues("c", trace_id="f" * 32), 99.0)
    assert other.layer == "time"  # joins what is active, which proves nothing about its trace
    follower = lineage.begin(NOBODY, Clues("c", trace_id="f" * 32), 99.0)
    assert (follower.run, follower.layer) == ("f" * 32, "traceparent")
