"""Rows that belong together: numbering, common weights, selection."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.stats.units import Grouping, rows_of, spread


@settings(deadline=None, derandomize=True)
@given(st.lists(st.integers(-3, 3), max_size=30))
def test_rows_find_their_unit_back(unit: list[int]) -> None:
    """The names are ascending and each row's code leads to its own name, however the rows are mixed."""
    found = Grouping.of(np.array(unit, dtype=np.int64))
    assert found.names.tolist() == sorted(set(unit))
    assert found.names[found.code].tolist() == unit


def test_names_may_be_text() -> None:
    """Queries named by strings are grouped like numbers."""
    found = Grouping.of(["b", "b", "a", "b"])
    assert (found.names.tolist(), found.code.tolist()) == (["a", "b"], [1, 1, 0, 1])


def test_a_missing_unit_is_refused() -> None:
    """NaN names no unit, and rows without one can't be grouped."""
    with pytest.raises(ValueError, match="not one name for each row"):
        Grouping.of([1.0, np.nan])


def test_weights_belong_to_units() -> None:
    """The weight of a unit is the one of all of its rows, and rows that differ are refused."""
    grouping = Grouping.of(["b", "a", "b"])
    common = grouping.take_common([2, 1, 2])
    assert common is not None
    assert common.tolist() == [1, 2]
    assert grouping.take_common(None) is None
    with pytest.raises(ValueError, match="weights that differ"):
        grouping.take_common([2, 1, 3])


@settings(deadline=None, derandomize=True)
@given(st.lists(st.integers(1, 4), min_size=1, max_size=8), st.data())
def test_rows_of_chosen_units(sizes: list[int], data: st.DataObject) -> None:
    """Choosing units gives their rows in the units' new order, and units may be chosen twice or not at all."""
    start = np.concatenate(([0], np.cumsum(sizes))).astype(np.intp)
    chosen = data.draw(st.lists(st.integers(0, len(sizes) - 1), max_size=10))
    rows, begin = rows_of(start, np.array(chosen, dtype=np.intp))
    expected = [np.arange(start[unit], start[unit + 1]).tolist() for unit in chosen]
    assert [rows[begin[at] : begin[at + 1]].tolist() for at in range(len(chosen))] == expected
    assert spread(start)[rows].tolist() == [unit for unit in chosen for _ in range(sizes[unit])]
