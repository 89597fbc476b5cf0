"""Any bytes as a table, any two types of one column, any words as a policy of tables: an answer, or our own error."""

from __future__ import annotations

import contextlib
import io
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing.parametric import series

from seatrial.config import parse_config
from seatrial.config.tables import DataTable
from seatrial.core.data_facts import state_table
from seatrial.core.data_wording import fold_tables
from seatrial.errors import ConfigError, SeatrialError
from seatrial.sources.drifts import measure_drift
from seatrial.sources.tables import OpenTable, diff_tables, find_leak
from tests.fuzz.test_parsers import DATA, bounded

pytestmark = pytest.mark.slow
KINDS: tuple[Any, ...] = (
    pl.Boolean, pl.Int8, pl.UInt64, pl.Float32, pl.Float64, pl.String, pl.Date, pl.Datetime, pl.Time, pl.Duration,
    pl.Binary, pl.Categorical, pl.Decimal, pl.Null, pl.List(pl.Int16), pl.Struct({"a": pl.Int8, "b": pl.String}),
    pl.Array(pl.Int8, 2),
)  # fmt: skip
COLUMNS = st.sampled_from(KINDS).flatmap(lambda kind: series(dtype=kind, min_size=4, max_size=4, allow_null=True))


def open_column(values: pl.Series) -> OpenTable:
    content = io.BytesIO()
    pl.DataFrame({"id": [1, 2, 3, 4], "x": values}).write_parquet(content)
    return OpenTable.open(content.getvalue(), DataTable(name="t", path="t.parquet", key=("id",), label="x"))


@bounded
@given(old=COLUMNS, new=COLUMNS)
def test_two_types_of_one_column(old: pl.Series, new: pl.Series) -> None:
    """They are held against each other, or differ in every row: the same both ways, and no value from itself."""
    base, head = open_column(old), open_column(new)
    there, back = diff_tables(base, head), diff_tables(head, base)
    assert there.changed.count == back.changed.count <= 4
    assert diff_tables(base, open_column(old)).changed.count == 0
    drift = measure_drift(base, head)
    assert drift.columns[0].psi is not None or drift.columns[0].reason
    assert state_table(there).columns_changed <= 1
    assert fold_tables((there,))


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet", "arrow"])
@bounded
@given(data=DATA)
def test_bytes(suffix: str, data: bytes) -> None:
    """A damaged table is refused, a whole one compared with another and with itself."""
    table = DataTable(name="t", path=f"t.{suffix}", key=("id",), label="label")
    whole = OpenTable.open(b"id,label,score\n1,0,0.5\n2,1,x\n", DataTable(name="w", path="w.csv", key=("id",)))
    start = {"csv": b"id,label,score\n", "jsonl": b'{"id": 1, "label": 0, "score": 0.5}\n'}.get(suffix, b"PAR1")
    for content in (data, start + data):
        with contextlib.suppress(SeatrialError):
            opened = OpenTable.open(content, table)
            opened.check()
            assert diff_tables(opened, opened).changed.count == 0
            found = diff_tables(whole, opened)
            assert found.n_common == find_leak(opened, whole).shared.count
            measure_drift(whole, opened)


LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.floats(),
    st.sampled_from(("id", "1%", "auto", "fail", "a", "b", "*")),
)
KEYS = st.sampled_from(
    ("path", "key", "name", "role", "label", "columns", "ignore", "max_rows_added", "max_label_flips", "severity",
     "schema", "leakage", "drift", "with", "max_shared", "max_psi", "against", "other")
)  # fmt: skip
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5))


@bounded
@given(tables=st.lists(st.dictionaries(KEYS, VALUES, max_size=8), max_size=3))
def test_policies(tables: list[dict[str, Any]]) -> None:
    """A fault is one error, and every rule is of a table that is there."""
    import yaml

    text = yaml.safe_dump({"version": 1, "tables": [{"path": "a", "key": "id", **one} for one in tables]})
    with contextlib.suppress(ConfigError):
        config = parse_config(text.encode())
        assert {rule.table for rule in config.policy.tables} <= {table.name for table in config.tables}
