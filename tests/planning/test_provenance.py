"""Which of several curves counts, and what is said of it."""

from __future__ import annotations

import msgspec

from builders import curve
from scepsy.core.plan import Allocation, LlmAllocation
from scepsy.core.profile import Curve, Profile, Source
from scepsy.planning.provenance import elsewhere, merge, notes


def made(source: Source, throughput: float, **fields: object) -> Curve:
    found = curve("g", {1.0: 0.1}, max_throughput=throughput)
    error = 0.0 if source == "measured" else 0.11
    return msgspec.structs.replace(found, source=source, error=error, **fields)


def test_measured_replaces_estimated_whatever_the_order() -> None:
    estimated = Profile(curves=(made("modelled", 1.0), made("modelled", 2.0, tp=2)))
    measured = Profile(curves=(made("measured", 3.0),))
    for profiles in ((estimated, measured), (measured, estimated)):
        found = {c.tp: (c.source, c.max_throughput) for c in merge(profiles).curves}
        assert found == {1: ("measured", 3.0), 2: ("modelled", 2.0)}
    later = Profile(curves=(made("measured", 4.0),))
    assert merge((measured, later)).curves[0].max_throughput == 4.0
    assert merge((made_profile("tabulated"), made_profile("corrected"))) == made_profile(
        "corrected"
    )


def made_profile(source: Source) -> Profile:
    return Profile(curves=(made(source, 1.0),))


def test_a_plan_says_which_curves_are_estimated() -> None:
    part = LlmAllocation(llm="g", tp=1, gpu_share=1.0, memory_share=1.0, replicas=2)
    (note,) = notes(made_profile("modelled"), Allocation(llms=(part,)))
    assert "g at TP1 rests on modelled curves" in note
    assert "11% off" in note
    assert notes(made_profile("measured"), Allocation(llms=(part,))) == ()
    small = msgspec.structs.replace(part, gpu_share=0.2)
    estimated = Profile(curves=(made("modelled", 1.0, gpu_share=0.2),))
    assert "extrapolated" in notes(estimated, Allocation(llms=(small,)))[1]


def test_a_plan_says_which_throughputs_are_lower_bounds_and_which_slowdowns_are_borrowed() -> None:
    part = LlmAllocation(llm="g", tp=1, gpu_share=1.0, memory_share=1.0, replicas=2)
    bound = Profile(curves=(made("measured", 1.0, at_least=True, slowdown_of="chat"),))
    limit, rare = notes(bound, Allocation(llms=(part,)))
    assert limit.startswith("g: the engine sustained the highest rate")
    assert "calls of g (those of chat)" in rare


def test_llms_with_the_same_expected_error_share_a_sentence() -> None:
    curves = made_profile("modelled").curves
    curves += tuple(msgspec.structs.replace(one, llm="h") for one in curves)
    parts = tuple(
        LlmAllocation(llm=llm, tp=1, gpu_share=1.0, memory_share=1.0, replicas=1) for llm in "gh"
    )
    (note,) = notes(Profile(curves=curves), Allocation(llms=parts))
    assert note.startswith("g at TP1, h at TP1 rest on modelled curves: each mean latency may be")


def test_curves_measured_on_another_machine_are_reported() -> None:
    measured = made("measured", 1.0, machine="laptop", engine="vllm 0.20")
    profile = Profile(curves=(measured, measured, made("modelled", 1.0, machine="none")))
    found = elsewhere(profile, "desk", {"vllm": "vllm 0.24"})
    assert found == (
        "measured on another machine: laptop; this is desk",
        "g was measured on vllm 0.20; installed is vllm 0.24",
    )
    assert elsewhere(profile, "laptop", {}) == ()
