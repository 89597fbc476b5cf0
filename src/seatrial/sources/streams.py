"""Predictions that do not fit into memory, taken apart so that each part of both sides can be paired by itself.

A file is read once, in a stream, and written to a temporary one that holds the needed columns and the number of each
row's part. That is a hash of its unit (of its query, or of its key), so that what belongs together is in one part on
both sides. Then part after part is read, checked and paired as if it were everything.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

import msgspec
import polars as pl
from msgspec import Struct

from seatrial.config.evaluations import Columns
from seatrial.errors import CompareError
from seatrial.sources.frames import Source, count_rows, explain_damage, find_key_type, first_keys
from seatrial.sources.predictions import (
    Cuts,
    Overlap,
    Pairs,
    Predictions,
    check_rows,
    find_answers,
    miss_rows,
    pair_predictions,
    read_predictions,
    select_columns,
)
from seatrial.stats.names import Task

# Beyond these, a file is taken apart: rows of Parquet and Arrow, which tell them at once, bytes of the other formats.
MOST_ROWS = 5_000_000
MOST_BYTES = 500_000_000
# So many rows of a side are in memory at once.
ROWS_OF_PART = 1_000_000
# The column that holds the number of a row's part.
PART = ":part"
_BETWEEN = "\x1f"
_BASE = "\x1fbase"


class Origin(Struct, frozen=True, kw_only=True):
    """Where one side's predictions are, and what is needed of them."""

    source: Source
    path: str
    task: Task
    columns: Columns
    cuts: Cuts

    @property
    def is_large(self) -> bool:
        """Whether it is better not to hold it; what is no table is left for the reader to refuse."""
        if isinstance(self.source, bytes):
            return False
        files = (self.source,) if isinstance(self.source, Path) else self.source
        if PurePosixPath(self.path).suffix.lower() not in {".parquet", ".arrow", ".feather"}:
            return sum(file.stat().st_size for file in files if file.is_file()) > MOST_BYTES
        return self.count_rows() > MOST_ROWS

    def require_columns(self) -> None:
        """CompareError unless the file can be opened and has all columns that are needed."""
        with explain_damage(self.path):
            self.select().collect_schema()

    def count_rows(self) -> int:
        """The number of rows, as the file tells it; 0 where it can't."""
        try:
            return count_rows(self.source, self.path)
        except CompareError:
            return 0

    def select(self) -> pl.LazyFrame:
        """What is needed of the file, as it stands there; call it, and read from it, within `explain_damage`."""
        return select_columns(self.source, self.path, self.columns, self.cuts)

    def read(self) -> Predictions:
        """All rows, checked; errors as in `read_predictions`."""
        return read_predictions(self.source, path=self.path, task=self.task, columns=self.columns, cuts=self.cuts)

    def check(self, raw: pl.DataFrame, *, among: int) -> Predictions:
        """Some of the rows that `select` gives; errors as in `check_rows`."""
        return check_rows(raw, path=self.path, task=self.task, columns=self.columns, cuts=self.cuts, among=among)


class Spilled(Struct, frozen=True, kw_only=True):
    """One side, taken apart into `parts`; `file` is temporary, `size` its number of rows."""

    origin: Origin
    file: Path
    parts: int
    size: int

    @property
    def path(self) -> str:
        """The file's name in the project."""
        return self.origin.path

    @property
    def task(self) -> Task:
        """What is predicted."""
        return self.origin.task

    def read(self, part: int) -> Predictions:
        """The rows of one part; CompareError for one that can't be used."""
        with explain_damage(self.path):
            raw = self._scan().filter(pl.col(PART) == part).drop(PART).collect()
        return self.origin.check(raw, among=self.size)

    def average(self, column: str) -> float:
        """The mean of a column of numbers, 0 where it holds none."""
        with explain_damage(self.path):
            return average_column(self._scan(), column)

    def _scan(self) -> pl.LazyFrame:
        return pl.scan_parquet([self.file], glob=False, hive_partitioning=False)


def average_column(table: pl.LazyFrame, column: str) -> float:
    """The mean of a column of numbers, 0 where it holds none."""
    found = table.select(pl.col(column).cast(pl.Float64, strict=False).mean()).collect().item()
    return float(found) if found is not None and math.isfinite(found) else 0.0


def choose_parts(rows: Iterable[int]) -> int:
    """Into how many parts sides of so many rows are taken."""
    return max(1, -(-max(rows, default=0) // ROWS_OF_PART))


def spill(origin: Origin, file: Path, parts: int) -> Spilled:
    """Write the needed columns to `file`, with the number of each row's part; errors as in `read_predictions`."""
    with explain_damage(origin.path):
        rows = number_parts(origin.select(), origin, parts)
        rows.sink_parquet(file, compression="lz4", row_group_size=250_000)
        size = int(pl.scan_parquet([file], glob=False).select(pl.len()).collect().item())
    if size == 0:
        raise miss_rows(origin.path)
    return Spilled(origin=origin, file=file, parts=parts, size=size)


def number_parts(rows: pl.LazyFrame, origin: Origin, parts: int) -> pl.LazyFrame:
    """The rows with the number of each one's part, which is the same for the same unit whatever type names it."""
    columns = origin.columns
    kinds = rows.collect_schema()
    for name in columns.key:
        find_key_type(name, kinds[name], origin.path)
    unit = (columns.query,) if columns.query else columns.key
    named = pl.concat_str([pl.col(name).cast(pl.String).fill_null("") for name in unit], separator=_BETWEEN)
    return rows.with_columns((named.hash(seed=0) % parts).cast(pl.UInt32).alias(PART))


def pair_part(base: Predictions, head: Predictions) -> Pairs:
    """What both sides hold of one part, which may be nothing."""
    return pair_predictions(base, head, needed=False)


def keep_pairs(pairs: Pairs, place: Path) -> None:
    """Write pairs, so that they need not be checked and joined again."""
    answers = find_answers(pairs.head.table)
    of_base = pairs.base.table.select(pl.col(name).alias(f"{name}{_BASE}") for name in answers)
    pl.concat([pairs.head.table, of_base], how="horizontal").write_ipc(place)
    place.with_suffix(".json").write_bytes(msgspec.json.encode(pairs.overlap))


def restore_pairs(place: Path, path: str, task: Task) -> Pairs:
    """The pairs that `keep_pairs` wrote."""
    rows = pl.read_ipc(place)
    head = rows.select(name for name in rows.columns if not name.endswith(_BASE))
    base = head.with_columns(rows[f"{name}{_BASE}"].alias(name) for name in find_answers(head))
    overlap = msgspec.json.decode(place.with_suffix(".json").read_bytes(), type=Overlap)
    return Pairs(
        base=Predictions(path=path, task=task, table=base),
        head=Predictions(path=path, task=task, table=head),
        **msgspec.structs.asdict(overlap),
    )


def join_overlaps(parts: Sequence[Overlap]) -> Overlap:
    """What two evaluation sets have in common, from their parts; the digest is of the parts' digests, in order."""
    digests = "".join(part.digest for part in parts)
    return Overlap(
        n_base=sum(part.n_base for part in parts),
        n_head=sum(part.n_head for part in parts),
        n_common=sum(part.n_common for part in parts),
        labels_changed=sum(part.labels_changed for part in parts),
        digest=parts[0].digest if len(parts) == 1 else hashlib.sha256(digests.encode()).hexdigest(),
        only_base=first_keys(key for part in parts for key in part.only_base),
        only_head=first_keys(key for part in parts for key in part.only_head),
    )
