"""Rows of plots: every format that DVC reads, an even sample of any number, a reason for what can't be read."""

from __future__ import annotations

import contextlib
import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.sources.formats import FormatError
from seatrial.sources.plot_rows import MAX_BYTES, read_rows, sample_evenly


@given(total=st.integers(0, 5_000), limit=st.integers(2, 300))
def test_a_sample_is_even_and_holds_both_ends(total: int, limit: int) -> None:
    """However many items there are, at most `limit` are kept, in order, at distances that hardly differ."""
    kept, counted = sample_evenly(range(total), limit)
    assert counted == total
    assert len(kept) == min(total, limit)
    assert kept == sorted(set(kept))
    if total:
        assert (kept[0], kept[-1]) == (0, total - 1)
    gaps = [after - before for before, after in itertools.pairwise(kept)]
    assert not gaps or max(gaps) <= 2 * total / limit + 2


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("a.json", '[{"x": 1, "y": 2}, {"x": 3, "y": 4}]'),
        ("a.json", '{"deep": {"rows": [{"x": 1, "y": 2}, {"x": 3, "y": 4}]}}'),
        ("a.json", '{"one": [{"x": 1}, {"x": 3}], "two": [{"y": 2}, {"y": 4}]}'),
        ("a.yaml", "- {x: 1, y: 2}\n- {x: 3, y: 4}\n"),
    ],
)
def test_lists_of_mappings_are_rows(path: str, text: str) -> None:
    """Wherever in a file the lists lie; several are joined row by row, as by DVC."""
    found = read_rows(path, text.encode(), limit=10)
    assert (list(found.rows), found.total) == ([{"x": 1, "y": 2}, {"x": 3, "y": 4}], 2)


@pytest.mark.parametrize(("path", "sign"), [("a.csv", ","), ("a.tsv", "\t")])
def test_tables_are_rows(path: str, sign: str) -> None:
    """CSV and TSV, with a byte order mark, Windows line ends and empty lines."""
    text = f"\ufeffx{sign}y\r\n1{sign}2\r\n\r\n3{sign}4\r\n"
    assert list(read_rows(path, text.encode(), limit=10).rows) == [{"x": "1", "y": "2"}, {"x": "3", "y": "4"}]


def test_columns_without_names_are_numbered() -> None:
    """`header: false` of dvc.yaml."""
    found = read_rows("a.csv", b"1,2\n3,4\n", limit=10, header=False)
    assert list(found.rows) == [{"0": "1", "1": "2"}, {"0": "3", "1": "4"}]


def test_a_long_file_is_sampled() -> None:
    """Of many rows the first, the last and some between are made into values."""
    rows = [{"x": at} for at in range(50_000)]
    found = read_rows("a.json", json.dumps(rows).encode(), limit=100)
    assert (len(found.rows), found.total) == (100, 50_000)
    assert (found.rows[0], found.rows[-1]) == ({"x": 0}, {"x": 49_999})


@pytest.mark.parametrize(
    ("path", "data", "reason"),
    [
        ("a.json", b"[]", "no rows"),
        ("a.json", b"{", "not JSON"),
        ("a.json", b"[1, 2]", "no rows"),
        ("a.csv", b"", "empty"),
        ("a.csv", b"\xff\xfe", "UTF-8"),
        ("a.csv", b"x\n" + b"1" * 200_000, "no table"),
        ("a.csv", b",".join(b"c" for _ in range(2_000)) + b"\n1\n", "columns"),
        ("a.yaml", b"*a", "undefined alias"),
        ("a.json", b" " * (MAX_BYTES + 1), "larger"),
    ],
)
def test_what_is_no_rows_is_refused(path: str, data: bytes, reason: str) -> None:
    """Always with a reason, never with a crash."""
    with pytest.raises(FormatError, match=reason):
        read_rows(path, data, limit=10)


@given(data=st.binary(max_size=200), path=st.sampled_from(["a.json", "a.yaml", "a.csv", "a.tsv"]))
def test_any_bytes_are_rows_or_refused(data: bytes, path: str) -> None:
    """Nothing but a FormatError leaves."""
    with contextlib.suppress(FormatError):
        assert read_rows(path, data, limit=10).rows
