"""What nvidia-smi prints is read as it is, and what cannot be read is refused by name."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scepsy.discover.found import MIB
from scepsy.discover.nvidia_smi.csv import gpus_in_csv
from scepsy.discover.nvidia_smi.machine import machine
from scepsy.discover.nvidia_smi.topology import links_of
from scepsy.discover.nvidia_smi.xml import gpus_in_xml
from scepsy.discover.nvlink import domain_size, odd_links
from scepsy.errors import BadInput

OUTPUTS = Path(__file__).resolve().parents[1] / "assets" / "discover"


def output(name: str) -> str:
    return (OUTPUTS / f"{name}.txt").read_text()


@pytest.mark.parametrize(
    ("name", "gpus", "links", "size"),
    [
        ("h100-sxm", 8, 28, 8),
        ("h200-csv", 8, 28, 8),
        ("v100-cube-mesh", 8, 16, 4),
        ("a100-pcie-bridges", 4, 2, 2),
        ("l40s", 8, 0, 1),
        ("rtx-5090", 1, 0, 1),
    ],
)
def test_the_links_of_real_machines_make_their_domains(
    name: str, gpus: int, links: int, size: int
) -> None:
    node = machine("n", output(name), source="x")
    assert node.linked is not None
    assert (len(node.gpus), len(node.linked)) == (gpus, links)
    assert domain_size(node.linked, gpus) == size


def test_a_gpu_is_taken_by_processes_by_memory_and_by_mig() -> None:
    node = machine("n", output("h100-sxm"), source="x")
    assert {at: gpu.taken for at, gpu in enumerate(node.gpus) if gpu.taken} == {
        2: "a process computes on it",
        5: "9012 MiB of its memory are in use",
    }
    bridged = machine("n", output("a100-pcie-bridges"), source="x")
    assert [gpu.taken is not None for gpu in bridged.gpus] == [False, False, False, True]
    assert "MIG is on" in str(bridged.gpus[3].taken)


def test_a_desktop_does_not_take_a_gpu() -> None:
    assert all(gpu.taken is None for gpu in machine("n", output("l40s"), source="x").gpus)


def test_memory_is_what_the_driver_leaves_to_cuda() -> None:
    gpus = gpus_in_xml(output("h100-sxm"))
    assert gpus is not None
    assert gpus[0].memory == (81559 - 551) * MIB
    assert gpus[0].uuid is not None
    assert len({gpu.uuid for gpu in gpus}) == 8


APPS = "gpu_uuid, pid, process_name, used_memory [MiB]\nGPU-b, 41, python, 900 MiB\n"


@pytest.mark.parametrize(
    ("csv", "taken"),
    [
        ("index, name, uuid, memory.total [MiB]\n0, A, GPU-a, 10 MiB\n1, A, GPU-b, 10 MiB\n", []),
        ("name, memory.total [MiB], index\nA, 10 MiB, 1\nA, 10 MiB, 0\n", []),
        (
            "index, name, memory.total [MiB], memory.used [MiB]\n0, A, 9000, 1025\n1, A, 9000, 9",
            [0],
        ),
        (f"index, name, uuid, memory.total\n0, A, GPU-a, 10\n1, A, GPU-b, 10\n\n{APPS}", [1]),
        (f"{APPS}index, name, uuid, memory.total\n0, A, GPU-a, 10\n1, A, GPU-b, 10\n", [1]),
        ("index, name, memory.total, compute_mode\n0, A, [N/A], Prohibited\n1, A, 1, Default", [0]),
    ],
)
def test_tables_of_any_columns_are_read(csv: str, taken: list[int]) -> None:
    gpus = gpus_in_csv(csv)
    assert gpus is not None
    assert len(gpus) == 2
    assert [at for at, gpu in enumerate(gpus) if gpu.taken] == taken


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "this is no list of GPUs by nvidia-smi; make it on the machine with `nvidia-smi -q"),
        ("hello\nworld", "this is no list of GPUs"),
        (
            "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make",
            "nvidia-smi said: NVIDIA-SMI has failed because it couldn't communicate with the",
        ),
        ("No devices were found\n", "nvidia-smi said: No devices were found"),
        ("<nvidia_smi_log>\n<gpu id='0'>", "is cut off"),
        ("<nvidia_smi_log><gpu></nvidia_smi_log>", "cannot be read: mismatched tag"),
        (
            "index, name, memory.total [MiB]\n0, A, 1 MiB\n2, A, 1 MiB\n",
            "has GPUs 0, 2; there must",
        ),
        ("index, name, memory.total [MiB]\n0, A, 1 MiB\n1, A", "row of 2 cells under a head of 3"),
        ("\tGPU0\tGPU1\tCPU Affinity\nGPU0\t X \tNV4\t0-3\n", "has no row for GPU1"),
        (
            "\tGPU0\tGPU1\tCPU Affinity\nGPU0\t X \tNV4\t0\nGPU1\tN",
            "a row that cannot be read: GPU1",
        ),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(text: str, words: str) -> None:
    with pytest.raises(BadInput) as refused:
        machine("n", text, source="n.txt")
    assert str(refused.value).startswith("n.txt: ")
    assert words in str(refused.value)


def test_two_machines_in_one_file_are_refused() -> None:
    with pytest.raises(BadInput, match="several machines"):
        machine("n", output("rtx-5090") * 2, source="n.txt")
    both = output("rtx-5090").split("\tGPU0")[0] + output("v100-cube-mesh").split("\n", 9)[9]
    with pytest.raises(BadInput, match="its matrix has a GPU7, its list has 1 GPUs"):
        machine("n", both, source="n.txt")


def test_every_cut_of_a_file_is_read_or_refused() -> None:
    """A copy that broke off never describes fewer GPUs than its machine has."""
    for name in ("h200-csv", "a100-pcie-bridges"):
        whole = output(name)
        gpus = len(machine("n", whole, source="x").gpus)
        for end in range(0, len(whole), 97):
            try:
                node = machine("n", whole[:end], source="x")
            except BadInput:
                continue
            assert len(node.gpus) == gpus or node.linked is None


@settings(deadline=None)
@given(st.text(max_size=300))
def test_any_text_is_read_or_refused(text: str) -> None:
    for told in (text, output("rtx-5090")[:1500] + text):
        with suppress(BadInput):
            assert machine("n", told, source="x").gpus


@st.composite
def links(draw: st.DrawFn) -> tuple[int, frozenset[tuple[int, int]]]:
    gpus = draw(st.integers(1, 8))
    pairs = [(a, b) for a in range(gpus) for b in range(a + 1, gpus)]
    return gpus, frozenset(draw(st.sets(st.sampled_from(pairs)))) if pairs else frozenset()


@settings(deadline=None)
@given(links())
def test_a_domain_is_the_largest_in_which_all_are_joined(
    found: tuple[int, frozenset[tuple[int, int]]],
) -> None:
    gpus, linked = found
    size = domain_size(linked, gpus)

    def joined(size: int) -> bool:
        blocks = [range(at, min(at + size, gpus)) for at in range(0, gpus, size)]
        return all((a, b) in linked for block in blocks for a in block for b in block if a < b)

    assert joined(size)
    assert not any(map(joined, range(size + 1, gpus + 1)))
    assert all(a // size != b // size for a, b in odd_links(linked, gpus, size))


@settings(deadline=None)
@given(links(), st.integers(0, 3), st.booleans())
def test_the_matrix_that_was_written_is_read(
    found: tuple[int, frozenset[tuple[int, int]]], nics: int, underlined: bool
) -> None:
    gpus, linked = found
    head = "\t" + "\t".join(
        [*(f"GPU{at}" for at in range(gpus)), *(f"NIC{n}" for n in range(nics))]
    )
    lines = [f"\x1b[4m{head}\tCPU Affinity\x1b[0m" if underlined else f"{head}\tCPU Affinity"]
    for row in range(gpus):
        cells = [
            " X " if row == at else "NV4" if (min(row, at), max(row, at)) in linked else "SYS"
            for at in range(gpus)
        ]
        lines.append("\t".join([f"GPU{row}", *cells, *["NODE"] * nics, "0-15,32-47"]))
    assert links_of("\n".join(lines)) == linked
