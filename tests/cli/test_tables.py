"""A table stays in one piece where it can, and says where it is one of several parts."""

from __future__ import annotations

from rich.console import Console

from scepsy.cli.output import table

HEADS = ("workflow", "target", "latency", "bottleneck")
ROW = ("rag", "0.5/s", "1.25 s", "generator")
LEAST = sum(map(len, HEADS)) + len(HEADS) + 1
"""Characters of the table without a space on either side of a cell."""


def printed(columns: int) -> list[str]:
    screen = Console(width=columns, highlight=False)
    with screen.capture() as captured:
        screen.print(table("Prediction", HEADS, [ROW]))
    return captured.get().splitlines()


def test_a_narrow_table_loses_its_spaces_before_it_is_split() -> None:
    for columns in range(LEAST, LEAST + 2 * len(HEADS) + 1):
        title, *lines = printed(columns)
        assert title == "Prediction"
        assert max(map(len, lines)) <= columns
        assert len(lines) == 5  # a frame of three lines, the heads and one row
        cells = [cell.strip() for cell in lines[3].strip("│").split("│")]
        assert cells == list(ROW)


def test_each_part_of_a_split_table_says_which_it_is() -> None:
    lines = printed(LEAST - 1)
    assert "Prediction (part 1 of 2)" in lines
    assert "Prediction (part 2 of 2)" in lines  # in one line, however narrow that part is
