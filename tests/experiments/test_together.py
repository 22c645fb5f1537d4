"""E4's slowdowns: a run is the same whoever else is there, so who shares nothing loses nothing."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from experiments.evaluation.fairness import jain, panels, report
from experiments.evaluation.planning import report as planning
from experiments.evaluation.regret import report as regret

from scepsy.core.plan import Placement
from scepsy.peers.sizing import placed, whole
from scepsy.planning.problem import Problem
from scepsy.predict import Pipeline

EXPERIMENTS = Path(__file__).resolve().parents[2] / "experiments"
SIZES = {"generator": 1, "verifier": 1, "embedder": 1, "reranker": 1, "writer": 2}
RATES = {"beam_search": 0.2, "rag": 0.8}


@pytest.fixture
def evaluation(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The modules as scripts import them, from their own folder."""
    monkeypatch.syspath_prepend(str(EXPERIMENTS))
    from evaluation import orders, together, tracing, workflows

    return SimpleNamespace(orders=orders, together=together, tracing=tracing, workflows=workflows)


def served(evaluation: SimpleNamespace, rates: dict[str, float], policy: object = None) -> dict:
    machines = evaluation.tracing.cluster(8, "h100")
    placement = placed([whole(name, tp, 1) for name, tp in SIZES.items()], machines)
    assert isinstance(placement, Placement)
    problem = Problem(Pipeline((), (), {}), evaluation.workflows.LLMS, machines, 0.1)
    return evaluation.together.served(problem, placement, policy, rates, 30.0)


def test_who_shares_nothing_loses_nothing(evaluation: SimpleNamespace) -> None:
    both = served(evaluation, RATES)
    for name, rate in RATES.items():
        alone = served(evaluation, {name: rate})[name]
        assert both[name] == alone
        assert evaluation.together.lost(both[name], alone) == (1.0, 0.0)


def test_who_shares_an_llm_loses_and_more_so_where_the_other_is_offered_more(
    evaluation: SimpleNamespace,
) -> None:
    rates = {"beam_search": 0.2, "rag_small": 0.8}
    alone = served(evaluation, {"rag_small": 0.8})["rag_small"]
    together = served(evaluation, rates)["rag_small"]
    crowded = served(evaluation, rates | {"beam_search": 1.0})["rag_small"]
    lost = evaluation.together.lost
    assert 1.0 < lost(together, alone)[0] < lost(crowded, alone)[0]


def test_orders_serve_every_run_and_forget_every_call(evaluation: SimpleNamespace) -> None:
    rates = {"beam_search": 0.2, "rag_small": 0.8}
    known = {name: len(runs) for name, runs in served(evaluation, rates).items()}
    costs = {name: SimpleNamespace(of=lambda ask: 1e-3 * ask.prompt_tokens) for name in SIZES}
    equal = evaluation.orders.EqualParts(costs)
    for policy in (evaluation.orders.FirstCome(), equal):
        found = served(evaluation, rates, policy)
        assert {name: len(runs) for name, runs in found.items()} == known
    assert not equal._starts


def test_jains_index_is_one_for_equals_and_a_half_where_one_has_all() -> None:
    assert jain([3.0, 3.0]) == pytest.approx(1.0)
    assert jain([1.0, 0.0]) == pytest.approx(0.5)


def seen(load: str, workflow: str, slowdown: float, **changed: object) -> dict:
    row = {"case": "c", "gpus": 4, "system": "HPA", "load": load, "workflow": workflow}
    row |= {"latency_mean": 2 * slowdown, "slowdown": slowdown, "within": 0.1}
    return row | {"slowdown_p999": 9.0, "wait": 0.5, "carried": True, "placement": "p"} | changed


def test_tables_of_e4_say_who_suffers() -> None:
    rows = [seen("alone", name, 1.0) for name in "ab"]
    rows += [seen("together", "a", 1.5), seen("together", "b", 1.5)]
    rows += [seen("a", "a", 2.0), seen("a", "b", 4.0, carried=False)]
    rows += [seen("b", "a", 1.6), seen("b", "b", 1.7)]
    told = report(rows)
    assert "| HPA | 2 s | 3 s | 1.50 ± 0.10 | 9.0 | 0.5 s |" in told
    assert "| 1.000 |" in told
    assert "| HPA | 2.00 | 4.00 ± 0.10 *overloaded* | 9.0 | 0.5 s | 1.70 | 1.60 ± 0.10 |" in told
    assert panels(rows)["c, 4 GPUs: b"]["HPA"] == {
        "the other workflow as planned": (1.5, 0.1),
        "the other workflow at three times its rate": (4.0, 0.1),
    }


def test_tables_of_e6_count_what_costs() -> None:
    def row(wrong: str, regret: float | None, placement: str, cv: float = 1.0) -> dict:
        one = {"case": "c", "part": 0.7, "wrong": wrong, "cv": cv, "regret": regret}
        one |= {"latency_mean": None if regret is None else 2.0 + 2 * regret}
        one["within"] = None if regret is None else 0.01
        return one | {"hindsight": 0.0, "carried": True, "placement": placement, "knowing": "p"}

    rows = [row("nothing", 0.0, "p"), row("nothing", 0.0, "p", 4.0), row("same", 0.0, "p")]
    told = regret([*rows, row("slow", 0.2, "q"), row("dead", None, "no room")])
    assert "Of 3 wrong beliefs, 1 change nothing in the plan, 1 leave none, 1 cost more" in told
    assert "(most: c at 70%, slow: +20%), and 0 gain" in told
    assert "| c | 70% | slow | +20.0% ± 1.0% | q |" in told
    assert "same" not in told.partition("## Wrong")[2].partition("## Bursts")[0]


def test_tables_of_e3_have_a_column_per_system() -> None:
    row = {"llms": 5, "gpus": 8, "share_step": 0.1, "system": "Scepsy", "seconds": 0.01}
    rows = [row | {"found": True}, row | {"system": "HPA", "seconds": 0.5, "found": False}]
    told = planning(rows, [])
    assert "take 0.01 to 0.01 s on up to 64 GPUs.\n" in told
    assert "| 5 | 8 | 0.01 s | 0.5 s (none) |" in told
