"""The evaluation's tables are what their committed rows give, and say what the rows say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from experiments.evaluation.agreement import report as agreement
from experiments.evaluation.tables import report

EVALUATION = Path(__file__).resolve().parents[2] / "docs" / "evaluation"


def predicted(mean: float, width: float = 0.05) -> dict:
    low, high = mean / (1 + width), mean * (1 + width)
    return {"mean": mean, "low": low, "high": high, "runs": width, "curves": 0.0, "model": 0.0}


def row(system: str, part: float, mean: float, *, sustained: bool = True) -> dict:
    return {
        "over": {"Scepsy": (3.0 / mean - 1, 0.01)},
        "case": "w",
        "workflow": "w",
        "gpu_type": "h100",
        "gpus": 4,
        "system": system,
        "part": part,
        "rate": part,
        "latency_mean": mean,
        "latency_p99": mean,
        "sustained": sustained,
        "sample": 1,
        "standard_error": 0.01 * mean,
        "predicted": predicted(mean) if system == "Scepsy" else None,
        "placement": "",
        "why": "",
    }


def test_e1_tables_are_those_of_the_rows() -> None:
    rows = json.loads((EVALUATION / "e1.json").read_text())
    far = json.loads((EVALUATION / "e1_reach.json").read_text())
    assert (EVALUATION / "e1.md").read_text() == report(rows, far)


def test_e2_tables_are_those_of_the_rows() -> None:
    rows = json.loads((EVALUATION / "e2.json").read_text())
    assert (EVALUATION / "e2.md").read_text() == agreement(rows)
    for row in rows:
        assert row["error"] == pytest.approx(row["predicted"] / row["observed"] - 1)


def test_ours_is_held_against_the_best_that_carries_the_load() -> None:
    rows = [row("Scepsy", 0.5, 3.0), row("HPA", 0.5, 6.0), row("MuxServe", 0.5, 2.0)]
    assert "| 3 | +0% | 6 HPA | -50% ± 1% | 6 HPA | -50% ± 1% |" in report(rows)
    rows[2] = row("user-specified, best", 0.5, 2.0)
    assert "| 3 | +0% | 2 user-specified, best | +50% ± 1% | 6 HPA |" in report(rows)
    assert "worse than the best: w, 4 h100, 50% (+50% ± 1%)." in report(rows)
    rows[2] = row("user-specified, best", 0.5, 2.0, sustained=False)
    assert "| 3 | +0% | 6 HPA | -50% ± 1% |" in report(rows)
    assert "worse than the best: nowhere." in report(rows)
    rows[0] = row("Scepsy", 0.5, 3.0, sustained=False)
    assert "| overloaded | - | 6 HPA | - |" in report(rows)


def test_other_policies_on_our_plans_are_no_baselines() -> None:
    rows = [row("Scepsy", 0.5, 3.0), row("HPA", 0.5, 6.0), row("Scepsy + Compass", 0.5, 1.0)]
    assert "| 3 | +0% | 6 HPA | -50% ± 1% |" in report(rows)


def test_our_predictions_have_bias_error_and_coverage() -> None:
    """Of an interval of 5% and an observed mean known to 1.6%, an error of 4% is held, 10% not."""
    rows = [row("Scepsy", part, 2.0) for part in (0.1, 0.5, 0.9)]
    rows[0]["predicted"] = predicted(2.08)
    rows[1]["predicted"] = predicted(2.2)
    rows[2]["sustained"] = False
    told = report(rows)
    assert "| w | w | 10% | 1 | +4.0% | 4.0% | 1 of 1, 100% | ±5% (±5%) |" in told
    assert "| all | all | 50% | 1 | +10.0% | 10.0% | 0 of 1, 0% |" in told
    assert "| all | all | all | 2 | +7.0% | 7.0% | 1 of 2, 50% |" in told
    assert "| w | w | 4 h100 | 50% | 2.2 | 2.1 to 2.31 | ±5% | ±0% | ±0% |" in told
