"""How far the columns of a table moved, against another version of it or another table."""

from __future__ import annotations

import math
from collections.abc import Iterable

import polars as pl

from seatrial.core.data import ColumnDrift, Drift
from seatrial.sources.tables import OpenTable, list_parts, matches_any, meet_types
from seatrial.sources.values import as_numbers, count_categories
from seatrial.stats import drift as measures
from seatrial.stats.influence import Undefined

# Ten bins of so many rows that did not change have a PSI of about 0.001 at most: more rows would tell nothing more.
_MOST_ROWS = 1 << 15
# Of a table of thousands of columns fewer: the limit of each allows for their number.
_FEWEST_ROWS = 1 << 11
_MOST_MEASURED = 1 << 22
_MOST_VALUES = 1 << 24
# Names, comments: a column with more different values than half of its rows has no categories.
_REPEATED = 0.5
_FEW = 20


def measure_drift(base: OpenTable, head: OpenTable, *, against: str = "") -> Drift:
    """The drift of every column that both tables have, the largest first; `against` names the first, if it is another.

    Of a long table a part of the rows is looked at, which a hash of the keys chooses.
    """
    names = [name for name in head.columns if name in base.kinds and not matches_any(name, head.table.still)]
    types = meet_types(base, head)
    most = max(_FEWEST_ROWS, min(_MOST_ROWS, _MOST_MEASURED // max(len(names), 1)))
    part = list_parts(base.size, head.size, most=most)[0]
    sizes = [side.read([pl.len()], types, part).item() for side in (base, head)]
    step = max(1, _MOST_VALUES // max(*sizes, 1))
    found = [
        _compare(name, before[name], after[name])
        for start in range(0, len(names), step)
        for before, after in [[side.read(names[start : start + step], types, part) for side in (base, head)]]
        for name in before.columns
    ]
    return Drift(against=against, columns=tuple(_rank(found)), n_before=sizes[0], n_now=sizes[1])


def _rank(found: Iterable[ColumnDrift]) -> list[ColumnDrift]:
    """The largest first; at the end those that can't be told."""
    return sorted(found, key=lambda one: (one.psi is None, -(one.psi or 0.0), one.column))


def _compare(name: str, base: pl.Series, head: pl.Series) -> ColumnDrift:
    try:
        measured = _measure(base, head)
    except TypeError as error:
        return ColumnDrift(column=name, reason=str(error))
    except pl.exceptions.PolarsError:
        return ColumnDrift(column=name, reason=f"{base.dtype} and {head.dtype} can't be held against each other")
    if isinstance(measured, Undefined):
        return ColumnDrift(column=name, reason=measured.reason)
    return ColumnDrift(
        column=name,
        psi=measured.psi,
        limit=measured.psi_limit,
        jensen_shannon=measured.jensen_shannon,
        wasserstein=_finite(measured.wasserstein),
        missing_before=measured.base_missing / measured.n,
        missing_now=measured.head_missing / measured.m,
        novel=measured.novel,
    )


def _measure(base: pl.Series, head: pl.Series) -> measures.Drift | Undefined:
    before, after = as_numbers(base), as_numbers(head)
    if before is not None and after is not None:
        return measures.compare_numbers(before.to_numpy(), after.to_numpy())
    (old, old_missing), (new, new_missing) = count_categories(base), count_categories(head)
    kinds, rows = len(old.keys() | new.keys()), sum(old.values()) + sum(new.values())
    if kinds > max(_FEW, _REPEATED * rows):
        raise TypeError("nearly every row has a value of its own")
    return measures.compare_categories(old, new, base_missing=old_missing, head_missing=new_missing)


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
