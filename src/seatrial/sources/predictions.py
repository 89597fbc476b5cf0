"""Per-row predictions of two models on one evaluation set: read, checked and joined by key.

Parquet, CSV with a header line, and JSON lines, told by the file's name. Only the named columns are read.
Whatever can't be paired with certainty is an error that names the file and the column; nothing is dropped
or filled in silently.
"""

from __future__ import annotations

import difflib
import hashlib
import io
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import numpy as np
import polars as pl
from msgspec import Struct
from numpy.typing import NDArray

from seatrial.errors import CompareError

# Names inside of the table, whatever the project calls its columns; key columns are key0, key1, …
_LABEL, _SCORE, _GROUP = "label", "score", "group"
_TRUE, _FALSE = ("1", "1.0", "true"), ("0", "0.0", "false")


class PredictionColumns(Struct, frozen=True, kw_only=True):
    """Which columns of a predictions file hold what; several key columns identify a row together."""

    key: tuple[str, ...]
    label: str
    score: str
    group: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """All columns that are read, each once."""
        group = (self.group,) if self.group else ()
        return tuple(dict.fromkeys((*self.key, self.label, self.score, *group)))


class Predictions(Struct, frozen=True, kw_only=True, eq=False):
    """One side's checked rows."""

    path: str
    table: pl.DataFrame

    @property
    def label(self) -> NDArray[np.bool_]:
        """True labels (n,), in the order of the file."""
        return self.table[_LABEL].to_numpy()

    @property
    def score(self) -> NDArray[np.float64]:
        """Predicted probabilities of the positive class (n,), in the order of the file."""
        return self.table[_SCORE].to_numpy()


class PairedPredictions(Struct, frozen=True, kw_only=True, eq=False):
    """The rows that both sides hold, in the order of their keys; arrays are (n_common,).

    `label` is the candidate's where the sides differ (in `labels_changed` rows), so that both models are
    held against the newest truth. `groups` numbers the clusters, likewise the candidate's. `digest`
    (SHA-256) is of the common keys and labels: the evaluation set without the models.
    """

    label: NDArray[np.bool_]
    base: NDArray[np.float64]
    head: NDArray[np.float64]
    groups: NDArray[np.int64] | None
    n_base: int
    n_head: int
    n_common: int
    labels_changed: int
    digest: str

    @property
    def same_evaluation_set(self) -> bool:
        """Whether both sides hold the same keys with the same labels."""
        return self.n_base == self.n_common == self.n_head and not self.labels_changed


def read_predictions(source: bytes | Path, *, path: str, columns: PredictionColumns) -> Predictions:
    """Read and check one side; `path` is the file's name in the project, and tells its format.

    `source` is the content, or a file that holds it under any name (DVC's cache names files by digest).
    Raises CompareError if the file can't be read, lacks a column, or holds a row that can't be used.
    """
    raw = _read_table(source, path, columns.names)
    if raw.is_empty():
        raise CompareError(f"{path} has no rows", hint="Was the evaluation run on an empty set?")
    check = _Check(path=path, raw=raw, columns=columns)
    for name in columns.names:
        check.refuse(raw[name].is_null(), f"column {name!r} is empty")
    keys = [_as_key(raw[name], path).alias(f"key{i}") for i, name in enumerate(columns.key)]
    groups = [_as_text(raw[columns.group]).alias(_GROUP)] if columns.group else []
    check.refuse(pl.DataFrame(keys).is_duplicated(), f"the key {', '.join(columns.key)} is not unique")
    return Predictions(path=path, table=pl.DataFrame([*keys, _as_label(check), _as_score(check), *groups]))


def pair_predictions(base: Predictions, head: Predictions) -> PairedPredictions:
    """Join two sides by key; raises CompareError if they share none."""
    keys = [name for name in head.table.columns if name.startswith("key")]
    before, after = _with_same_key_types(base.table, head.table, keys)
    rows = after.join(before.select(*keys, _LABEL, _SCORE), on=keys, how="inner", suffix="_base").sort(keys)
    if rows.is_empty():
        raise CompareError(
            f"{head.path}: no row of the candidate has a key of the baseline",
            hint="Both sides need one evaluation set with lasting keys; a row number is none if rows move.",
        )
    return PairedPredictions(
        label=rows[_LABEL].to_numpy(),
        base=rows[f"{_SCORE}_base"].to_numpy(),
        head=rows[_SCORE].to_numpy(),
        groups=rows[_GROUP].rank("dense").cast(pl.Int64).to_numpy() if _GROUP in rows.columns else None,
        n_base=before.height,
        n_head=after.height,
        n_common=rows.height,
        labels_changed=int((rows[_LABEL] != rows[f"{_LABEL}_base"]).sum()),
        digest=hashlib.sha256(rows.select(*keys, _LABEL).write_csv().encode()).hexdigest(),
    )


def _scan_parquet(source: bytes | Path) -> pl.LazyFrame:
    # No globbing and no partitions by folder name: the path is one file, whatever characters it has.
    return pl.scan_parquet(_stream(source), glob=False, hive_partitioning=False)


def _scan_csv(source: bytes | Path) -> pl.LazyFrame:
    # All as text: a guessed type would turn the key "007" into 7.
    return pl.scan_csv(_stream(source), glob=False, infer_schema=False)


def _scan_json_lines(source: bytes | Path) -> pl.LazyFrame:
    content = source if isinstance(source, bytes) else source.read_bytes()
    return pl.scan_ndjson(io.BytesIO(content), infer_schema_length=None)


def _stream(source: bytes | Path) -> io.BytesIO | Path:
    return io.BytesIO(source) if isinstance(source, bytes) else source


_FORMATS: dict[str, Callable[[bytes | Path], pl.LazyFrame]] = {
    ".parquet": _scan_parquet,
    ".csv": _scan_csv,
    ".jsonl": _scan_json_lines,
    ".ndjson": _scan_json_lines,
}


def _read_table(source: bytes | Path, path: str, names: tuple[str, ...]) -> pl.DataFrame:
    suffix = PurePosixPath(path).suffix.lower()
    if suffix not in _FORMATS:
        raise CompareError(
            f"{path}: the suffix {suffix or '(none)'} is of no format that predictions are read from",
            hint=f"Write them as {', '.join(_FORMATS)}.",
        )
    try:
        table = _FORMATS[suffix](source)
        present = table.collect_schema().names()
        for name in names:
            if name not in present:
                raise _missing_column(name, present, path)
        return table.select(names).collect()
    # A damaged Parquet file can make polars panic, which is no Exception.
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, UnicodeError) as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise CompareError(f"{path} can't be read as {suffix[1:]}: {reason}") from None


def _missing_column(name: str, present: list[str], path: str) -> CompareError:
    nearest = difflib.get_close_matches(name, present, n=1)
    guess = f"Did you mean {nearest[0]!r}? " if nearest else ""
    return CompareError(
        f"{path} has no column {name!r}",
        hint=f"{guess}It has {', '.join(map(_shown, present[:20]))}{'…' if present[20:] else ''}.",
    )


def _shown(value: object) -> str:
    """A value out of the file, as short as a message needs it."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"


class _Check(Struct, frozen=True, kw_only=True, eq=False):
    path: str
    raw: pl.DataFrame
    columns: PredictionColumns

    def refuse(self, mask: pl.Series, what: str) -> None:
        """Raise if the mask (n,) marks any row, naming how many and the first one's key."""
        count = int(mask.sum())
        if count:
            first = self.raw.row(int(mask.arg_max() or 0), named=True)
            key = ", ".join(f"{name}={_shown(first[name])}" for name in self.columns.key)
            raise CompareError(f"{self.path}: {what} in {count} of {self.raw.height} rows, first at {key}")


def _as_key(column: pl.Series, path: str) -> pl.Series:
    if column.dtype.is_float() or column.dtype.is_nested():
        raise CompareError(
            f"{path}: the key column {column.name!r} holds {column.dtype}, which can't identify a row",
            hint="Write the key as an integer or as text.",
        )
    fits = column.dtype.is_integer() and column.dtype not in (pl.UInt64, pl.Int128)
    key: pl.Series = column.cast(pl.Int64 if fits else pl.String)
    return key


def _as_text(column: pl.Series) -> pl.Series:
    text: pl.Series = column.cast(pl.String)
    return text


def _as_label(check: _Check) -> pl.Series:
    name = check.columns.label
    text = _as_text(check.raw[name]).str.strip_chars().str.to_lowercase()
    truth = text.is_in(_TRUE)
    others = ~(truth | text.is_in(_FALSE))
    seen = ", ".join(_shown(value) for value in check.raw[name].filter(others).unique().sort()[:3])
    check.refuse(others, f"column {name!r} is neither 0 nor 1 (but {seen})")
    return truth.alias(_LABEL)


def _as_score(check: _Check) -> pl.Series:
    name = check.columns.score
    score: pl.Series = check.raw[name].cast(pl.Float64, strict=False)
    check.refuse(score.is_null() | score.is_nan(), f"column {name!r} is no number")
    check.refuse((score < 0) | (score > 1), f"column {name!r} is no probability: it lies outside of 0 to 1")
    return score.alias(_SCORE)


def _with_same_key_types(base: pl.DataFrame, head: pl.DataFrame, keys: list[str]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Integers on one side and text on the other (Parquet against CSV) meet as text."""
    differing = [name for name in keys if base[name].dtype != head[name].dtype]
    as_text = [pl.col(name).cast(pl.String) for name in differing]
    return base.with_columns(as_text), head.with_columns(as_text)
