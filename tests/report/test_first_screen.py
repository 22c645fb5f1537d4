"""The first screen says whether a GPU was used, what load the plan carries and why it is what it
is; bad news looks like bad news.
"""

from __future__ import annotations

import io
import re

import msgspec
import pytest
from rich.console import Console
from synthetic_report import BEAM, RAG, report

from scepsy.cli.plan import print_plan
from scepsy.core.llm import EngineKind
from scepsy.core.plan import Plan
from scepsy.predict.headroom import headroom
from scepsy.report import wording
from scepsy.report.charts import front
from scepsy.report.charts.load_curves import chart
from scepsy.report.charts.time_shares import bars
from scepsy.report.data import Report
from scepsy.report.first_screen import headroom_figure, is_emulated, latency_sum
from scepsy.report.html import render
from scepsy.report.reasons import reasons
from scepsy.report.result import cards, headline, within_interval

replace = msgspec.structs.replace
KNOWN = report()
PLAN = KNOWN.plan


@pytest.mark.parametrize(
    ("engine", "scale", "said"),
    [("emulated", 8.0, True), ("emulated", 1.0, False), ("vllm", 8.0, False)],
)
def test_a_plan_says_how_fast_its_emulated_engines_run(
    engine: EngineKind, scale: float, said: bool
) -> None:
    llms = tuple(replace(llm, engine=engine) for llm in PLAN.llms)
    output = io.StringIO()
    print_plan(
        replace(PLAN, llms=llms, time_scale=scale), Console(file=output, width=80, highlight=False)
    )
    sentence = f"run 8{wording.TIMES} as fast as real GPUs"
    assert (sentence in " ".join(output.getvalue().split())) == said


def test_no_gpu_is_the_first_thing_said_where_engines_are_emulated() -> None:
    text = render(KNOWN)
    assert 0 < text.index("No GPU was used") < text.index("<h1>")
    llms = tuple(replace(llm, engine="vllm") for llm in PLAN.llms)
    real = replace(KNOWN, plan=replace(PLAN, llms=llms))
    assert not is_emulated(real.plan)
    assert "No GPU was used" not in render(real)


def test_headroom_is_one_number_and_all_places_agree() -> None:
    factor = headroom(PLAN.prediction).factor
    shown = wording.factor(factor)
    assert headroom_figure(PLAN).together == shown
    printed = io.StringIO()
    print_plan(PLAN, Console(file=printed, width=200))
    assert f"all workflows together: the target rates may grow {shown} " in printed.getvalue()
    for card, curves in zip(cards(KNOWN), KNOWN.curves, strict=True):
        assert card.figures[0].value == shown
        labels = [label.text for label in chart(curves).labels]
        assert any(f"saturates at {shown}" in text for text in labels)
        assert curves.saturation == pytest.approx(curves.target_rate * factor)


def test_headroom_beyond_the_chart_is_said_in_it() -> None:
    far = replace(KNOWN.curves[0], saturation=100.0, even_saturation=None)
    drawn = chart(far)
    assert any("beyond this chart" in label.text for label in drawn.labels)
    assert not any("wall" in line.css for line in drawn.lines)


def test_the_reasons_name_every_llm_and_the_largest_first() -> None:
    found = reasons(PLAN)
    assert found[0] == "generator has 71% to 77% of the LLM time, so it gets the most: TP4"
    assert found[-1] == (
        "embedder has 3.1% of the LLM time of rag-rerank, so a part of a GPU is enough: 0.1 GPU"
    )
    assert len(found) == len(PLAN.allocation.llms)
    page = re.sub(r"<[^>]+>", "", render(KNOWN))
    assert all(sentence in page for sentence in found)
    assert page.index(found[0]) < page.index("Which replica sits on which GPU")


def test_a_plan_without_demands_has_reasons_without_shares() -> None:
    assert "generator gets TP4" in reasons(replace(PLAN, demands=()))


def test_a_sum_of_latencies_is_called_one_and_taken_apart() -> None:
    text = latency_sum(PLAN)
    assert text.startswith("sum of the workflows' predicted mean latencies ")
    assert BEAM in text
    assert RAG in text
    weighted = replace(PLAN, targets=(PLAN.targets[0], replace(PLAN.targets[1], weight=3.0)))
    assert f"{wording.TIMES} 3)" in latency_sum(weighted)
    assert latency_sum(_alone(PLAN)).startswith("predicted mean latency ")


def _alone(plan: Plan) -> Plan:
    prediction = replace(plan.prediction, workflows=plan.prediction.workflows[:1])
    return replace(plan, targets=plan.targets[:1], prediction=prediction)


def test_an_error_outside_its_interval_is_never_drawn_as_good_news() -> None:
    flow = replace(KNOWN.summary.workflows[0], latency_error=0.23, chance=0.09)
    off = _with(flow.latency_error, flow.chance)
    assert within_interval(flow) is False
    assert f"outside its interval for {BEAM}" in headline(off)
    card = cards(off)[0]
    assert ("short", "✗ latency outside the predicted interval") in card.chips
    (mean,) = (figure for figure in card.figures if figure.name == "mean latency")
    assert mean.css == "short"
    assert f"+23.0%, outside {chr(177)}9.0%" in mean.note
    assert '<td class="short">+23.0%, outside' in render(off)


def test_an_error_within_its_interval_is_good_news_and_an_unknown_one_is_none() -> None:
    assert ("met", "✓ latency as predicted") in cards(_with(0.05, 0.09))[0].chips
    assert [css for css, _ in cards(_with(0.05, None))[0].chips] == ["met"]
    assert within_interval(_with(float("nan"), 0.1).summary.workflows[0]) is None


def _with(error: float, chance: float | None) -> Report:
    first, *others = KNOWN.summary.workflows
    changed = replace(first, latency_error=error, chance=chance)
    return replace(KNOWN, summary=replace(KNOWN.summary, workflows=(changed, *others)))


def test_no_p99_is_named_of_fewer_than_a_hundred_runs() -> None:
    beam, rag = cards(KNOWN)
    assert any(figure.name.startswith("latency, slowest of 47") for figure in beam.figures)
    assert any(figure.name.startswith("latency, p99 of 177") for figure in rag.figures)
    rings = [mark for mark in chart(KNOWN.curves[0]).marks if mark.shape == "ring"]
    assert rings == []


def test_measured_points_have_error_bars() -> None:
    bars = [line for line in chart(KNOWN.curves[0]).lines if line.css.startswith("bar")]
    assert [line.title for line in bars].count("mean latency, 90% interval") == 3
    assert [line.title for line in bars].count("throughput, 90% interval") == 3


def test_the_front_of_latency_against_gpus_marks_the_chosen_plan() -> None:
    drawn = front.chart(PLAN)
    assert drawn is not None
    assert [mark.css for mark in drawn.marks] == ["even", "even", "even", "plan"]
    (label,) = drawn.labels
    assert label.text.split()[:4] == ["this", "plan:", "7", "GPUs,"]
    text = render(KNOWN)
    assert "Latency against GPUs" in text
    assert "up to 1.0% slower than the fastest one" in text
    lone = replace(PLAN.explanation, front=PLAN.explanation.front[:1], tolerance=0.0)
    assert front.chart(replace(PLAN, explanation=lone)) is None
    assert "Latency against GPUs" not in render(
        replace(KNOWN, plan=replace(PLAN, explanation=lone))
    )


def test_too_few_runs_for_a_verdict_are_said() -> None:
    first, *others = KNOWN.summary.workflows
    few = replace(first.measured, completed=14, verdict="too short to tell")
    changed = replace(KNOWN.summary, workflows=(replace(first, measured=few), *others))
    sentence = cards(replace(KNOWN, summary=changed))[0].sentence
    assert "driven too briefly to tell whether it sustains 0.800 runs/s (14" in sentence
    assert "a verdict needs 20)" in sentence


def test_the_headline_of_a_drive_that_was_too_short_claims_nothing_about_the_load() -> None:
    flows = tuple(
        replace(flow, measured=replace(flow.measured, verdict="too short to tell"))
        for flow in KNOWN.summary.workflows
    )
    text = headline(replace(KNOWN, summary=replace(KNOWN.summary, workflows=flows)))
    assert text.startswith("Predicted mean latency is at most 4.0% off, on 8")
    assert text.endswith("too short a drive to tell whether the targets are sustained")
    assert "by 1 of 2" in " ".join(
        headline(
            replace(
                KNOWN,
                summary=replace(KNOWN.summary, workflows=(flows[0], KNOWN.summary.workflows[1])),
            )
        ).split("\N{NO-BREAK SPACE}")
    )


def test_a_label_that_does_not_fit_its_bar_is_left_to_the_legend() -> None:
    for bar in bars(PLAN.demands, {}):
        for segment in bar.segments:
            fits = 7.8 * len(segment.llm) <= 10 * segment.width
            assert fits or not segment.label
    labels = {part.llm: part.label for bar in bars(PLAN.demands, {}) for part in bar.segments}
    assert labels["embedder"] == ""
    assert labels["generator"] == "generator 77%"
