"""`scepsy plan --tolerance`, `--gpus` and `--within`: what is understood, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from scepsy.cli.main import cli
from scepsy.cli.plan_types import GpuCount, Limit, Percentage
from scepsy.planning.latency_limit import LatencyLimit

NEEDED = ["--traces", "none", "--profile", "none", "--cluster", "8xh100", "--target", "w=1"]


def refused(*options: str) -> str:
    """What the command says; the files that it names do not exist."""
    done = CliRunner().invoke(cli, ["plan", *NEEDED, *options])
    assert done.exit_code
    return done.output + str(done.exception)


@pytest.mark.parametrize(
    ("text", "seconds", "statistic"),
    [
        ("5s", 5.0, "mean"),
        ("800ms", 0.8, "mean"),
        ("mean=2m", 120.0, "mean"),
        ("p99=8s", 8.0, "p99"),
        ("p90=1.5s", 1.5, "p90"),
    ],
)
def test_a_limit_has_a_unit_and_may_have_a_statistic(
    text: str, seconds: float, statistic: str
) -> None:
    found = Limit().convert(text, None, None)
    assert (found.seconds, found.statistic) == (pytest.approx(seconds), statistic)
    assert isinstance(found, LatencyLimit)


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        ("5", "5s or 5ms"),
        ("0s", "must be positive"),
        ("-1s", "must be positive"),
        ("p95=5s", "p99=5s"),
        ("5parsecs", "unknown unit"),
        ("soon", "like 5s"),
        ("1.2.3s", "must be positive"),
    ],
)
def test_a_limit_that_makes_no_sense_is_refused_with_what_to_write(limit: str, words: str) -> None:
    assert words in refused("--gpus", "fewest", "--within", limit)


def test_fewest_and_within_go_together() -> None:
    assert "add --within" in refused("--gpus", "fewest")
    assert "--gpus fewest" in refused("--within", "5s")
    assert "leave out --fast" in refused("--gpus", "fewest", "--within", "p99=5s", "--fast")


@pytest.mark.parametrize("gpus", ["0", "-1", "2.5", "few"])
def test_gpus_is_a_number_or_fewest(gpus: str) -> None:
    assert "number of GPUs, or fewest" in refused("--gpus", gpus)
    assert GpuCount().convert("12", None, None) == 12


@pytest.mark.parametrize("option", [("--share-step", "0.1"), ("--share-groups",)])
def test_options_on_shares_are_refused_where_the_cluster_divides_its_gpus(
    tmp_path: Path, option: tuple[str, ...]
) -> None:
    cluster = tmp_path / "cluster.toml"
    cluster.write_text('[[nodes]]\nname = "n1"\ngpus = 2\nshares_per_gpu = 4\n')
    said = refused("--cluster", str(cluster), *option)
    assert f"{option[0]}: the nodes of the cluster divide their GPUs" in said


@pytest.mark.parametrize(("text", "part"), [("1%", 0.01), ("0.01", 0.01), ("0", 0.0)])
def test_a_tolerance_is_a_part(text: str, part: float) -> None:
    assert Percentage().convert(text, None, None) == pytest.approx(part)


@pytest.mark.parametrize(
    ("text", "words"), [("1", "did you mean 1%?"), ("-1%", "no part"), ("much", "no part")]
)
def test_a_tolerance_that_is_no_part_is_refused(text: str, words: str) -> None:
    assert words in refused("--tolerance", text)
