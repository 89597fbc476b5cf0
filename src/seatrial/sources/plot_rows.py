"""Rows of a plot's file -> an even sample of them, whatever their number.

JSON, YAML (lists of mappings, however deep they lie), CSV and TSV, as DVC reads them. A file comes from whoever opened
the pull request: its size is bounded, and what can't be read is a `FormatError` with a reason.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

import msgspec
from msgspec import Struct

from seatrial.sources import formats
from seatrial.sources.formats import FormatError

MAX_BYTES = 16 << 20
_MAX_COLUMNS = 1_000
_Row = TypeVar("_Row")
_DELIMITERS = {".csv": ",", ".tsv": "\t"}


class Rows(Struct, frozen=True, kw_only=True):
    """An even sample of a file's rows, the first and the last among them, and how many there are in all."""

    rows: tuple[Mapping[str, object], ...]
    total: int


def read_rows(path: str, data: bytes, *, limit: int, header: bool = True) -> Rows:
    """At most `limit` rows of a file; without a `header` the columns of a table are named by number, from 0."""
    if len(data) > MAX_BYTES:
        raise FormatError(f"is larger than {MAX_BYTES >> 20} MB, the most that is drawn")
    suffix = path[path.rfind(".") :].lower() if "." in path else ""
    if suffix in _DELIMITERS:
        found = _read_table(data, _DELIMITERS[suffix], limit, header=header)
    else:
        plain = _read_json(data, limit) if suffix == ".json" else None
        found = plain or _read_nested(formats.load(path, data), limit)
    if not found.rows:
        raise FormatError("holds no rows")
    return found


def sample_evenly(rows: Iterable[_Row], limit: int) -> tuple[list[_Row], int]:
    """At most `limit` items at even distances, with the first and the last; and how many there were."""
    kept: list[_Row] = []
    stride, total = 1, 0
    last: list[_Row] = []
    for total, row in enumerate(rows, start=1):
        last = [row]
        if (total - 1) % stride == 0:
            kept.append(row)
            if len(kept) >= 8 * limit:
                kept, stride = kept[::2], 2 * stride
    if (total - 1) % stride:
        kept += last
    if len(kept) > limit:
        steps = max(1, limit - 1)
        kept = [kept[round(at * (len(kept) - 1) / steps)] for at in range(limit)]
    return kept, total


def _read_table(data: bytes, delimiter: str, limit: int, *, header: bool) -> Rows:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise FormatError("is not UTF-8 text") from None
    lines = (row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if row)
    try:
        first = next(lines, None)
        if first is None:
            raise FormatError("is empty")
        names = first if header else [str(at) for at in range(len(first))]
        if len(names) > _MAX_COLUMNS:
            raise FormatError(f"has more than {_MAX_COLUMNS:,} columns")
        picked, total = sample_evenly(lines if header else _put_back(first, lines), limit)
    except csv.Error as error:
        raise FormatError(f"is no table: {error}") from None
    return Rows(rows=tuple(dict(zip(names, row, strict=False)) for row in picked), total=total)


def _put_back(first: list[str], lines: Iterator[list[str]]) -> Iterator[list[str]]:
    yield first
    yield from lines


def _read_json(data: bytes, limit: int) -> Rows | None:
    """The rows of a plain list of mappings, of which only the sampled ones are made into values; None for all else."""
    try:
        raw = msgspec.json.decode(data, type=list[msgspec.Raw])
        picked, total = sample_evenly(raw, limit)
        return Rows(rows=tuple(msgspec.json.decode(row, type=dict[str, object]) for row in picked), total=total)
    except (msgspec.MsgspecError, RecursionError):
        return None


def _read_nested(values: object, limit: int) -> Rows:
    """The rows of all lists of mappings together, joined by their position, as DVC joins them."""
    joined: list[dict[str, object]] = []
    found = 0
    for rows in _find_lists(values):
        picked, total = sample_evenly(rows, limit)
        found = max(found, total)
        joined += [{} for _ in range(len(picked) - len(joined))]
        for into, row in zip(joined, picked, strict=False):
            into.update({str(key): value for key, value in row.items()})
    return Rows(rows=tuple(joined), total=found)


def _find_lists(values: object) -> Iterator[list[dict[object, object]]]:
    if isinstance(values, list):
        if values and all(isinstance(row, dict) for row in values):
            yield values
    elif isinstance(values, dict):
        for inner in values.values():
            yield from _find_lists(inner)
