"""Tables out of files: Parquet, CSV with a header line, JSON lines and Arrow, told by the file's name.

A file is scanned, not read: only the columns that are asked for come out of it. Keys have rules of their own here,
since rows of two sides are joined by them.
"""

from __future__ import annotations

import difflib
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import polars as pl

from seatrial.errors import CompareError

_SHOWN = 5
# The content, a file that holds it, or the files of a directory.
Source = bytes | Path | tuple[Path, ...]


def _scan_parquet(source: Source) -> pl.LazyFrame:
    # No globbing and no partitions by folder name: the path is one file, whatever characters it has.
    return pl.scan_parquet(_stream(source), glob=False, hive_partitioning=False)


def _scan_csv(source: Source) -> pl.LazyFrame:
    # All as text: a guessed type would turn the key "007" into 7.
    return pl.scan_csv(_stream(source), glob=False, infer_schema=False)


def _scan_json_lines(source: Source) -> pl.LazyFrame:
    if isinstance(source, tuple):
        return pl.concat([_scan_json_lines(one) for one in source], how="vertical_relaxed")
    content = source if isinstance(source, bytes) else source.read_bytes()
    return pl.scan_ndjson(io.BytesIO(content), infer_schema_length=None)


def _scan_arrow(source: Source) -> pl.LazyFrame:
    return pl.scan_ipc(_stream(source), glob=False, hive_partitioning=False)


def _stream(source: Source) -> io.BytesIO | list[Path]:
    return io.BytesIO(source) if isinstance(source, bytes) else [source] if isinstance(source, Path) else list(source)


_FORMATS: dict[str, Callable[[Source], pl.LazyFrame]] = {
    ".parquet": _scan_parquet,
    ".csv": _scan_csv,
    ".jsonl": _scan_json_lines,
    ".ndjson": _scan_json_lines,
    ".arrow": _scan_arrow,
    ".feather": _scan_arrow,
}


def scan_table(source: Source, path: str) -> pl.LazyFrame:
    """The rows of a file, none of them read yet; `path` is its name in the project, and tells the format.

    `source` is the content, or a file that holds it under any name (DVC's cache names files by digest).
    CompareError for a name of no known format; call it, and read from it, within `explain_damage`.
    """
    suffix = PurePosixPath(path).suffix.lower()
    if suffix not in _FORMATS:
        raise CompareError(
            f"{path}: the suffix {suffix or '(none)'} is of no format that tables are read from",
            hint=f"write them as {', '.join(_FORMATS)}",
        )
    return _FORMATS[suffix](source)


def count_rows(source: Source, path: str) -> int:
    """How many rows a file has; CompareError where it can't be read."""
    with explain_damage(path):
        return int(scan_table(source, path).select(pl.len()).collect().item())


@contextmanager
def explain_damage(path: str) -> Iterator[None]:
    """Turn what a damaged file makes polars raise into a CompareError that names the file."""
    try:
        yield
    # A damaged Parquet file can make polars panic, which is no Exception.
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, UnicodeError) as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        suffix = PurePosixPath(path).suffix.lower()
        raise CompareError(f"{path} can't be read as {suffix[1:]}: {reason}") from None


def miss_column(name: str, present: Sequence[str], path: str) -> CompareError:
    """The error for a column that a file has not, with the nearest of those that it has."""
    as_written = {one.lower(): one for one in present}
    nearest = difflib.get_close_matches(name.lower(), as_written, n=1)
    guess = f"did you mean {as_written[nearest[0]]!r}? " if nearest else ""
    return CompareError(
        f"{path} has no column {name!r}",
        hint=f"{guess}it has {', '.join(map(show_value, present[:20]))}{'…' if present[20:] else ''}",
    )


def refuse_rows(
    mask: pl.Series, rows: pl.DataFrame, key: Sequence[str], what: str, path: str, *, hint: str = "", among: int = 0
) -> None:
    """CompareError if the mask (n,) marks any row, naming how many and the first one's key.

    `among` is the number of all rows where these are a part of them.
    """
    count = int(mask.sum())
    if count:
        first = rows.row(int(mask.arg_max() or 0), named=True)
        named = ", ".join(f"{name}={show_value(first[name])}" for name in key)
        found = f"in at least {count:,} of {among:,} rows" if among else f"in {count:,} of {rows.height:,} rows, first"
        raise CompareError(f"{path}: {what} {found} at {named}", hint=hint)


def find_key_type(name: str, kind: pl.DataType, path: str) -> type[pl.DataType]:
    """As what a key column is compared: integers as such, all else as text; CompareError where it can't be a key."""
    if kind.is_float() or kind.is_nested():
        raise CompareError(
            f"{path}: the key column {name!r} holds {kind}, which can't identify a row",
            hint="write the key as an integer or as text",
        )
    fits = kind.is_integer() and kind not in (pl.UInt64, pl.Int128)
    return pl.Int64 if fits else pl.String


def show_keys(rows: pl.DataFrame, keys: Sequence[str]) -> tuple[str, ...]:
    """The first few keys, as a report names them."""
    first = rows.select(keys).bottom_k(_SHOWN, by=list(keys)).sort(keys)
    return tuple(", ".join(show_value(value) for value in row) for row in first.iter_rows())


def first_keys(shown: Iterable[str]) -> tuple[str, ...]:
    """The first few of several parts' first keys, as `show_keys` would show them of the whole."""
    return tuple(sorted(shown, key=_order)[:_SHOWN])


def _order(key: str) -> list[tuple[int, int, str]]:
    """Whole numbers by their value, text by its letters."""
    parts = key.split(", ")
    return [(0, int(part), "") if part.removeprefix("-").isdecimal() else (1, 0, part) for part in parts]


def show_value(value: object) -> str:
    """A value out of the file, as short as a message needs it."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"
