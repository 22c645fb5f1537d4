"""What a change says of its waves, of calls that it cut, and of why it is not made."""

from __future__ import annotations

from scepsy.core.plan import Replica, Slice
from scepsy.deploy.changes.actions import Action, Changeover, Dip, Refusal, Wave
from scepsy.deploy.wording import cut_text, refusal_text, wave_text, way_text


def replica(name: str) -> Replica:
    part = Slice(node="n", gpu=0, gpu_share=1.0, memory_share=1.0)
    return Replica(replica=name, llm="m", tp=1, slices=(part,))


WAVE = Wave(
    actions=(
        Action("stop", replica("k-0"), "it hangs"),
        Action("start", replica("m-1"), "it is in the plan"),
        Action("start", replica("m-0"), "it is in the plan"),
    ),
    dips=(Dip("m", 0.25, ("m-1",)),),
)


def test_a_wave_is_one_sentence_with_actions_of_a_kind_together() -> None:
    assert wave_text(3, WAVE) == (
        f"wave 3: start m-1, m-0 (they are in the plan); stop k-0 (it hangs); {WAVE.dips[0]}"
    )
    assert way_text(Changeover(waves=(WAVE, WAVE)))[1] == wave_text(2, WAVE)


def test_a_reason_of_several_replicas_is_in_the_plural() -> None:
    reasons = {
        "the plan has it": "the plan has them",
        "the plan does not have it, and its room is needed": (
            "the plan does not have them, and their room is needed"
        ),
        "it hangs": "they hang",
        "it has died": "they have died",
        "it stays in plan 3": "they stay in plan 3",
        "it was started otherwise than it would be now": (
            "they were started otherwise than they would be now"
        ),
    }
    for one, several in reasons.items():
        for told, names in ((one, ("a",)), (several, ("a", "b"))):
            wave = Wave(tuple(Action("stop", replica(name), one) for name in names))
            assert wave_text(1, wave) == f"wave 1: stop {', '.join(names)} ({told})"


def test_calls_that_were_cut_are_counted() -> None:
    assert cut_text("m-0", 1, 300) == "1 call was cut at m-0: not finished after 300 s (--grace)"
    assert cut_text("m-0", 2, 0.5).startswith("2 calls were cut at m-0: not finished after 0.5 s")


def test_a_refusal_says_what_to_do() -> None:
    assert refusal_text(Refusal("there is no GPU 3")) == "there is no GPU 3"
    dip = Dip("m", 1.0)
    told = refusal_text(Refusal("too little", (dip,)))
    assert told == f"too little ({dip}); allow it with --allow-dip"
