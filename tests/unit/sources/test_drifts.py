"""How far the columns of a table moved."""

from __future__ import annotations

import io
from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from msgspec.structs import replace

from seatrial.config.tables import DataTable
from seatrial.core.data import ColumnDrift
from seatrial.sources import drifts
from seatrial.sources.drifts import measure_drift
from seatrial.sources.tables import OpenTable

TABLE = DataTable(name="train", path="train.parquet", key=("id",))
ROWS = 4_000


def open_table(table: DataTable = TABLE, /, **columns: Any) -> OpenTable:
    content = io.BytesIO()
    rows = len(next(iter(columns.values())))
    pl.DataFrame({"id": range(rows), **columns}).write_parquet(content)
    return OpenTable.open(content.getvalue(), table)


def normal(shift: float = 0.0, seed: int = 1) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).normal(shift, 1.0, ROWS)


def by_name(base: OpenTable, head: OpenTable) -> dict[str, ColumnDrift]:
    return {column.column: column for column in measure_drift(base, head).columns}


def test_the_largest_drift_is_told_first() -> None:
    """Numbers and categories in one order, by their PSI."""
    base = open_table(a=normal(), b=normal(seed=2), c=["x", "y"] * (ROWS // 2))
    head = open_table(a=normal(0.2, 3), b=normal(1.5, 4), c=["x"] * ROWS)
    drift = measure_drift(base, head)
    assert [column.column for column in drift.columns] == ["c", "b", "a"]
    assert [round(column.psi or 0) for column in drift.columns] == [4, 2, 0]
    assert (drift.n_before, drift.n_now, drift.against) == (ROWS, ROWS, "")


def test_numbers_move_in_units_of_their_spread() -> None:
    """A shift by one standard deviation is 0.74 interquartile ranges of a normal distribution."""
    column = by_name(open_table(a=normal()), open_table(a=normal(1.0, 2)))["a"]
    assert column.wasserstein == pytest.approx(1 / 1.349, abs=0.05)
    assert 0.2 < (column.jensen_shannon or 0) < 0.6


def test_a_column_of_few_values_that_is_scaled_anew_has_hardly_moved() -> None:
    """A feature that is normalised by a mean and a scale of the training part shifts with every row of that."""
    values = np.random.default_rng(5).poisson(3.0, ROWS).astype(np.float32)
    rare = np.where(values > 6, values, 0)
    base = open_table(a=(values - 3) / 1.73, b=values, c=rare)
    head = open_table(a=(values - 3.001) / 1.731, b=values + 1, c=rare - 0.01)
    found = by_name(base, head)
    assert (found["a"].psi or 0) < 0.001
    assert (found["c"].psi or 0) < 0.001
    assert (found["b"].psi or 0) > 0.2


def test_a_table_has_no_drift_from_itself() -> None:
    """0 by every measure."""
    table = open_table(a=normal(), c=["x", "y"] * (ROWS // 2))
    assert {(each.psi, each.jensen_shannon) for each in measure_drift(table, table).columns} == {(0.0, 0.0)}


def test_missing_values_and_new_categories_are_counted() -> None:
    """They are drift too, and each is told."""
    base = open_table(a=[1.0, 2.0, 3.0, 4.0] * 50, c=["x", "y"] * 100)
    head = open_table(a=[1.0, None, 3.0, float("nan")] * 50, c=["x", "z"] * 100)
    found = by_name(base, head)
    assert (found["a"].missing_before, found["a"].missing_now) == (0.0, 0.5)
    assert found["c"].novel == 100


def test_text_of_a_csv_file_counts_as_numbers() -> None:
    """Where all of it is, on both sides."""
    base = open_table(a=[str(number) for number in range(200)], b=["1", "2"] * 100)
    head = open_table(a=[float(number) + 100 for number in range(200)], b=["1", "many"] * 100)
    found = by_name(base, head)
    assert found["a"].wasserstein == pytest.approx(1.0, abs=0.02)
    assert (found["b"].wasserstein, found["b"].novel) == (None, 100)


def test_days_are_numbers_and_flags_are_categories() -> None:
    """A table that grew in time has drifted in it."""
    days = [date(2026, 1, 1) + timedelta(days=number) for number in range(100)]
    base = open_table(day=days, flag=[True] * 50 + [False] * 50)
    head = open_table(day=[day + timedelta(days=200) for day in days], flag=[True] * 100)
    found = by_name(base, head)
    assert (found["day"].wasserstein or 0) > 3
    assert (found["flag"].psi or 0) > 1
    assert found["flag"].wasserstein is None


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ([[1], [2]], [[1], [2]], "holds List"),
        (pl.Series([None, None], dtype=pl.Float64), [1.0, 2.0], "the baseline has no value"),
        ([f"name {number}" for number in range(50)], [f"other {number}" for number in range(50)], "nearly every row"),
    ],
)
def test_a_column_that_can_not_be_told_says_why(old: Any, new: Any, reason: str) -> None:
    """Lists, columns without a value, names that nobody else has; they come last."""
    base, head = (open_table(a=values, b=list(range(len(values)))) for values in (old, new))
    last = measure_drift(base, head).columns[-1]
    assert (last.column, last.psi) == ("a", None)
    assert reason in last.reason


def test_a_long_table_is_sampled_by_its_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """A part of the rows tells nearly the same, and says how many they were."""
    base, head = open_table(a=normal()), open_table(a=normal(0.5, 2))
    whole = measure_drift(base, head).columns[0].psi
    monkeypatch.setattr(drifts, "_MOST_ROWS", 1_000)
    monkeypatch.setattr(drifts, "_FEWEST_ROWS", 1_000)
    part = measure_drift(base, head)
    assert 800 < part.n_before < 1_200
    assert part.columns[0].psi == pytest.approx(whole, rel=0.4)
    assert part == measure_drift(base, head)


def test_a_wide_table_is_sampled_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that thousands of columns take no minutes."""
    monkeypatch.setattr(drifts, "_MOST_MEASURED", 1 << 12)
    wide = open_table(**{f"c{index}": normal(seed=index) for index in range(4)})
    assert 1_800 < measure_drift(wide, wide).n_now < 2_200


def test_columns_that_may_drift_are_left_out() -> None:
    """As the policy says; keys always are."""
    table = replace(TABLE, still=("day*",))
    columns = {"day_of_year": [1, 2], "a": [1, 2]}
    assert list(by_name(open_table(table, **columns), open_table(table, **columns))) == ["a"]
