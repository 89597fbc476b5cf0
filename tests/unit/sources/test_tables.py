"""Two versions of a table, row by row, and the keys that two tables share."""

from __future__ import annotations

import io
from datetime import datetime, timezone
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from seatrial.config.tables import DataTable
from seatrial.core.data import ColumnChange, Rows, SchemaChange, TypeChange
from seatrial.errors import CompareError
from seatrial.sources import tables
from seatrial.sources.tables import OpenTable, Part, diff_tables, find_leak, list_parts

TABLE = DataTable(name="train", path="train.parquet", key=("id",), label="y")


def open_table(table: DataTable = TABLE, /, **columns: Any) -> OpenTable:
    content = io.BytesIO()
    pl.DataFrame(columns, strict=False).write_parquet(content)
    return OpenTable.open(content.getvalue(), table)


def open_csv(text: str | bytes, table: DataTable = TABLE) -> OpenTable:
    return OpenTable.open(text if isinstance(text, bytes) else text.encode(), replace(table, path="train.csv"))


def test_a_table_tells_what_became_of_its_rows_labels_and_columns() -> None:
    """Counts, and the first keys of what somebody may want to look at."""
    base = open_table(id=[1, 2, 3, 4], y=[0, 0, 1, 1], x=[0.5, 0.5, 0.5, 0.5], old=[1, 1, 1, 1])
    head = open_table(id=[5, 4, 3, 2], y=[1, 1, 0, 0], x=[0.5, 0.75, 0.5, 0.5], new=["a", "b", "c", "d"])
    diff = diff_tables(base, head)
    assert (diff.n_base, diff.n_head, diff.n_common) == (4, 4, 3)
    assert (diff.added, diff.removed) == (Rows(count=1, examples=("5",)), Rows(count=1, examples=("1",)))
    assert diff.changed == Rows(count=2, examples=("3", "4"))
    assert diff.flips == Rows(count=1, examples=("3 (1 → 0)",))
    assert diff.relabelled == (("1 → 0", 1),)
    assert set(diff.columns) == {ColumnChange(column="y", rows=1), ColumnChange(column="x", rows=1)}
    assert diff.schema == SchemaChange(added=("new",), removed=("old",))


def test_the_order_of_rows_and_columns_is_no_change() -> None:
    """A key says which row is which, and a name which column."""
    base = open_table(id=["a", "b", "c"], y=[0, 1, 0], x=[1, 2, 3])
    head = open_table(x=[3, 1, 2], y=[0, 0, 1], id=["c", "a", "b"])
    diff = diff_tables(base, head)
    assert not any(rows.count for rows in (diff.added, diff.removed, diff.changed, diff.flips))
    assert (diff.columns, diff.schema) == ((), SchemaChange())


@pytest.mark.parametrize(
    ("old", "new", "different"),
    [
        ([1, 2], [1.0, 2.5], 1),
        ([True, False], [1, 1], 1),
        (["1", "two"], [1, 2], 1),
        (["1.0", " 2 "], [1, 2], 0),
        (["true", "0"], [True, False], 0),
        (["9007199254740993", "1.5"], [9007199254740993, 1], 1),
        ([1, None], [None, None], 1),
        ([float("nan"), 1.0], [float("nan"), None], 1),
        ([[1, 2], [3]], [[1, 2], [4]], 1),
        ([{"a": 1}, {"a": 2}], [{"a": 1}, {"a": 3}], 1),
        ([[1], [2]], ["1", "2"], 2),
        ([2**63, 1], [-1, 1], 1),
        (pl.Series([0.1, 0.2], dtype=pl.Float32), [0.1, 0.3], 1),
        (pl.Series(["a", "b"], dtype=pl.Categorical), pl.Series(["a", "c"], dtype=pl.Categorical), 1),
        (pl.Series(["a", "b"], dtype=pl.Enum(["a", "b"])), ["a", "c"], 1),
        (
            pl.Series([datetime(2026, 1, 1), datetime(2026, 1, 2)], dtype=pl.Datetime("ms")),  # noqa: DTZ001
            pl.Series([datetime(2026, 1, 1, tzinfo=timezone.utc)] * 2, dtype=pl.Datetime("ns", "UTC")),
            1,
        ),
        ([b"\x00", b"\xff"], [b"\x00", b"\xfe"], 1),
    ],
)
def test_other_types_on_the_two_sides_meet(old: Any, new: Any, different: int) -> None:
    """What is equal in another dress is no change of a row; the dress itself is told as one of the schema."""
    base, head = (open_table(replace(TABLE, label=None), id=[1, 2], x=values) for values in (old, new))
    assert diff_tables(base, head).changed.count == different
    assert diff_tables(head, base).changed.count == different


def test_a_csv_file_and_a_parquet_file_hold_the_same_rows() -> None:
    """Keys and values of text are held against numbers; the column's type is told."""
    diff = diff_tables(open_csv("id,y,x\n1,0,0.5\n2,1,\n"), open_table(id=[1, 2], y=[0, 1], x=[0.5, None]))
    assert (diff.added.count, diff.removed.count, diff.changed.count) == (0, 0, 0)
    assert diff.schema.retyped[0] == TypeChange(column="id", base="String", head="Int64")


def test_text_that_looks_like_a_number_stays_text() -> None:
    """A postal code loses its zero: that is a change."""
    diff = diff_tables(open_csv("id,y,zip\n1,0,007\n"), open_csv("id,y,zip\n1,0,7\n"))
    assert diff.columns == (ColumnChange(column="zip", rows=1),)


def test_only_the_columns_of_the_policy_are_compared() -> None:
    """Patterns choose and leave out; the label is always among them."""
    table = replace(TABLE, columns=("f:*", "kept"), ignore=("f:secret",))
    columns = {"f:a": [1], "f:secret": [1], "kept": [1], "other": [1]}
    base = open_table(table, id=[1], y=[0], **columns)
    head = open_table(table, id=[1], y=[1], **{name: [2] for name in columns})
    assert {one.column for one in diff_tables(base, head).columns} == {"y", "f:a", "kept"}


ROWS = st.dictionaries(st.integers(0, 30), st.tuples(st.sampled_from([0, 1, None]), st.floats(0, 1)), min_size=1)


def table_of(rows: dict[int, tuple[int | None, float]]) -> OpenTable:
    return open_table(
        id=pl.Series(list(rows), dtype=pl.Int64),
        y=pl.Series([y for y, _ in rows.values()], dtype=pl.Int64),
        x=[x for _, x in rows.values()],
    )


@given(ROWS, ROWS)
@settings(max_examples=30, deadline=None)
def test_a_difference_counts_what_plain_python_counts(
    before: dict[int, tuple[int | None, float]], after: dict[int, tuple[int | None, float]]
) -> None:
    """And swapping the sides swaps what was added with what was removed, and leaves the rest."""
    there, back = diff_tables(table_of(before), table_of(after)), diff_tables(table_of(after), table_of(before))
    common = before.keys() & after.keys()
    assert there.added.count == back.removed.count == len(after.keys() - before.keys())
    assert there.removed.count == back.added.count == len(before.keys() - after.keys())
    assert there.changed.count == back.changed.count == sum(before[key] != after[key] for key in common)
    assert there.flips.count == back.flips.count == sum(before[key][0] != after[key][0] for key in common)
    assert sum(number for _, number in there.relabelled) == there.flips.count


@given(ROWS)
@settings(max_examples=15, deadline=None)
def test_a_table_does_not_differ_from_itself(rows: dict[int, tuple[int | None, float]]) -> None:
    """Whatever is in it, missing values included; and all of its keys are its own."""
    diff = diff_tables(table_of(rows), table_of(rows))
    assert not any(found.count for found in (diff.added, diff.removed, diff.changed, diff.flips))
    assert find_leak(table_of(rows), table_of(rows)).shared.count == len(rows)


@given(ROWS, ROWS, st.integers(1, 7), st.integers(1, 40))
@settings(max_examples=20, deadline=None)
def test_parts_add_up_to_the_whole(
    before: dict[int, tuple[int | None, float]], after: dict[int, tuple[int | None, float]], rows: int, values: int
) -> None:
    """A table that does not fit into memory is told as one that does."""
    whole = diff_tables(table_of(before), table_of(after))
    leak = find_leak(table_of(before), table_of(after))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "_MOST_VALUES", values)
        patch.setitem(list_parts.__kwdefaults__ or {}, "most", rows)
        assert diff_tables(table_of(before), table_of(after)) == whole
        assert find_leak(table_of(before), table_of(after)) == leak


def test_every_row_is_in_one_part() -> None:
    """And equal keys of two tables are in the same one."""
    table = open_table(id=[f"flight {number}" for number in range(1_000)], y=[0] * 1_000)
    parts = [table.read_keys(table.key_types, Part(index, 7)).to_series().to_list() for index in range(7)]
    assert sorted(key for part in parts for key in part) == sorted(f"flight {number}" for number in range(1_000))
    assert max(len(part) for part in parts) < 250


def test_several_columns_are_a_key_together() -> None:
    """A key that is only unique by two columns."""
    table = replace(TABLE, key=("day", "id"))
    base = open_table(table, day=["mon", "tue"], id=[1, 1], y=[0, 0])
    head = open_table(table, day=["mon", "wed"], id=[1, 1], y=[0, 0])
    diff = diff_tables(base, head)
    assert (diff.added.examples, diff.removed.examples) == (("'wed', 1",), ("'tue', 1",))


def test_a_leak_is_found_whatever_the_keys_are_called_or_typed() -> None:
    """The key of each table is its own column."""
    train = open_table(id=[1, 2, 3], y=[0, 0, 0])
    test = open_csv("flight\n3\n4\n", DataTable(name="test", path="test.csv", key=("flight",)))
    leak = find_leak(train, test)
    assert (leak.other, leak.shared) == ("test", Rows(count=1, examples=("'3'",)))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"id": [1, 1], "y": [0, 1]}, "train.parquet: the key id is not unique in 2 of 2 rows, first at id=1"),
        ({"id": [1, None], "y": [0, 1]}, "train.parquet: column 'id' is empty in 1 of 2 rows, first at id=None"),
        ({"id": [1.5], "y": [0]}, "train.parquet: the key column 'id' holds Float64, which can't identify a row"),
        ({"Id": [1], "y": [0]}, "train.parquet has no column 'id'"),
        ({"id": [1], "late": [0]}, "train.parquet has no column 'y'"),
    ],
)
def test_a_table_that_can_not_be_told_row_by_row_is_refused(columns: dict[str, Any], message: str) -> None:
    """One error that names the file, the column, how many rows and the first."""
    with pytest.raises(CompareError) as caught:
        open_table(**columns).check()
    assert caught.value.message == message


def test_a_column_that_the_policy_names_has_to_be_there() -> None:
    """A pattern may match nothing, a name may not."""
    with pytest.raises(CompareError, match="has no column 'hour'") as caught:
        open_table(replace(TABLE, columns=("hour", "f:*")), id=[1], y=[0], hours=[1])
    assert "did you mean 'hours'?" in caught.value.hint


def test_bytes_that_are_no_table_are_one_error() -> None:
    """Parquet that is none, and a CSV file that is not UTF-8."""
    with pytest.raises(CompareError, match=r"train\.parquet can't be read as parquet"):
        OpenTable.open(b"PAR1 but no more", TABLE)
    latin = "id,y,city\n1,0,Z\xfcrich\n".encode("latin-1")
    with pytest.raises(CompareError, match=r"train\.csv can't be read as csv"):
        diff_tables(open_csv("id,y,city\n1,0,Bern\n"), open_csv(latin))


def test_no_rows_at_all_are_a_difference_like_any_other() -> None:
    """Somebody emptied the table."""
    empty = open_table(id=pl.Series([], dtype=pl.Int64), y=pl.Series([], dtype=pl.Int64))
    full = open_table(id=[1, 2], y=[0, 1])
    assert diff_tables(full, empty).removed.count == 2
    assert diff_tables(empty, full).added.count == 2
    assert diff_tables(empty, empty).n_common == 0


def test_ten_thousand_columns_are_compared() -> None:
    """Each on its own, however many there are."""
    names = [f"c{number}" for number in range(10_000)]
    base = open_table(id=[1, 2], y=[0, 1], **{name: [1, 2] for name in names})
    head = open_table(id=[1, 2], y=[0, 1], **{name: [1, 3] for name in names})
    diff = diff_tables(base, head)
    assert (len(diff.columns), diff.changed.count) == (10_000, 1)
