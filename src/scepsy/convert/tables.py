"""Tables as one JSON object, as pandas' `DataFrame.to_json` and ClickHouse write them.

By column (`{"name": {"0": "a", "1": "b"}}`, pandas' default; or `{"name": ["a", "b"]}`), by row
(`orient="index"`: `{"0": {"name": "a"}}`), and split (`{"columns": [...], "data": [[...]]}`;
ClickHouse's JSONCompact has the names of its columns in `meta`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from scepsy.convert.foreign_record import ForeignRecord, Json

_COLUMNS_MIN = 4
"""An object with fewer fields is no table of spans: ids, times and a name are at least four."""


def table_rows(record: ForeignRecord) -> list[ForeignRecord]:
    """The rows of a table; none where the record is no table."""
    return [
        record.with_fields(f"{record.path}[row {number}]", row)
        for number, row in enumerate(_rows(record.fields))
    ]


def _rows(table: Json) -> Iterator[Json]:
    names, data = _names(table), table.get("data")
    values = list(table.values())
    if names and isinstance(data, list):
        for row in cast(list[object], data):
            if isinstance(row, list):
                yield dict(zip(names, cast(list[object], row), strict=False))
    elif values and all(isinstance(value, dict) for value in values):
        yield from _from_objects(cast("dict[str, Json]", table))
    elif len(values) >= _COLUMNS_MIN and all(isinstance(value, list) for value in values):
        columns = cast("dict[str, list[object]]", table)
        if len({len(column) for column in columns.values()}) == 1:
            for row in zip(*columns.values(), strict=True):
                yield dict(zip(columns, row, strict=True))


def _names(table: Json) -> list[str]:
    """The names of the columns of a table that is written split."""
    listed = table.get("columns", table.get("meta"))
    found: list[str] = []
    for one in cast(list[object], listed) if isinstance(listed, list) else ():
        name = cast(Json, one).get("name") if isinstance(one, dict) else one
        if isinstance(name, str):
            found.append(name)
    return found


def _from_objects(table: dict[str, Json]) -> Iterator[Json]:
    """Columns if all have the same keys, which are rows then; else each value is a row."""
    keys = list(next(iter(table.values())))
    by_column = len(table) >= _COLUMNS_MIN and all(list(one) == keys for one in table.values())
    if by_column and all(key.isdecimal() for key in keys):
        for key in keys:
            yield {name: column[key] for name, column in table.items()}
    else:
        yield from table.values()
