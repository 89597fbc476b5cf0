"""Two versions of a table, row by row and column by column, and the keys that two tables share.

Nothing is held whole: of a long table a part of the rows at a time, told by a hash of the key, and of a wide one a few
columns at a time. What is counted in the parts adds up.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

import msgspec
import polars as pl
from msgspec import Struct
from polars.datatypes import DataTypeClass

from seatrial.config.tables import DataTable
from seatrial.core.data import ColumnChange, Leak, Rows, SchemaChange, TableDiff, TypeChange
from seatrial.sources.frames import (
    explain_damage,
    find_key_type,
    miss_column,
    refuse_rows,
    scan_table,
    show_keys,
    show_value,
)
from seatrial.sources.values import are_different

# So many rows at a time, and so many values of one side: 128 MB of keys, 256 MB of numbers.
_MOST_ROWS = 1 << 24
_MOST_VALUES = 1 << 25
_SHOWN = 5
_MOST_KINDS = 20
_AT_BASE, _AT_HEAD, _TOLD = "at base", "at head", "told"
Types = tuple[DataTypeClass, ...]


class OpenTable(Struct, frozen=True, kw_only=True, eq=False):
    """One side of a table: its rows, none of them read yet, and the types of its columns.

    `known` keeps the keys, which are needed more than once, unless there are many.
    """

    table: DataTable
    rows: pl.LazyFrame
    kinds: Mapping[str, pl.DataType]
    size: int
    known: dict[Types, pl.DataFrame] = msgspec.field(default_factory=dict)

    @classmethod
    def open(cls, source: bytes | Path, table: DataTable) -> OpenTable:
        """Look at a file, without its rows; CompareError if it can't be read or lacks a column that is named."""
        with explain_damage(table.path):
            rows = scan_table(source, table.path)
            kinds = dict(rows.collect_schema())
            size = int(rows.select(pl.len()).collect().item())
        named = (name for name in table.columns or () if not any(sign in name for sign in "*?["))
        for name in (*table.key, *([table.label] if table.label else ()), *named):
            if name not in kinds:
                raise miss_column(name, list(kinds), table.path)
        return cls(table=table, rows=rows, kinds=kinds, size=size)

    @property
    def key_types(self) -> Types:
        """As what each column of the key is compared; CompareError where one can't be a key."""
        return tuple(find_key_type(name, self.kinds[name], self.table.path) for name in self.table.key)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the policy wants to be compared, the key apart."""
        table = self.table
        return tuple(
            name
            for name in self.kinds
            if name not in table.key
            and (table.columns is None or name == table.label or matches_any(name, table.columns))
            and not matches_any(name, table.ignore)
        )

    def read(self, columns: Sequence[str | pl.Expr], types: Types, part: Part) -> pl.DataFrame:
        """Some columns of a part of the rows, in the order of the file."""
        with explain_damage(self.table.path):
            chosen = self.rows if part.of == 1 else self.rows.filter(part.choose(self._spell_keys(types)))
            return chosen.select(columns).collect()

    def check(self) -> None:
        """CompareError where a key is missing or stands twice."""
        for part in list_parts(self.size):
            self.read_keys(self.key_types, part)

    def read_keys(self, types: Types, part: Part) -> pl.DataFrame:
        """The keys of a part as the columns key0, key1, …; CompareError where one is missing or stands twice."""
        if part.of > 1:
            return self._read_keys(types, part)
        if types not in self.known:
            self.known[types] = self._read_keys(types, part)
        return self.known[types]

    def _read_keys(self, types: Types, part: Part) -> pl.DataFrame:
        keys = self.read(self._spell_keys(types), types, part)
        names, path = self.table.key, self.table.path
        shown = keys.rename(dict(zip(keys.columns, names, strict=True)))
        for column, name in zip(keys, names, strict=True):
            if column.null_count():
                refuse_rows(column.is_null(), shown, names, f"column {name!r} is empty", path)
        if keys.n_unique() < keys.height:
            refuse_rows(keys.is_duplicated(), shown, names, f"the key {', '.join(names)} is not unique", path)
        return keys

    def _spell_keys(self, types: Types) -> list[pl.Expr]:
        spelled = zip(self.table.key, types, strict=True)
        return [pl.col(name).cast(kind).alias(f"key{i}") for i, (name, kind) in enumerate(spelled)]


class Part(Struct, frozen=True):
    """One of `of` parts of all rows, told by the key, so that equal keys are in one part on both sides."""

    index: int
    of: int

    def choose(self, keys: list[pl.Expr]) -> pl.Expr:
        """The rows that belong to it."""
        return pl.struct(keys).hash(seed=0) % self.of == self.index


WHOLE = Part(0, 1)


def meet_types(base: OpenTable, head: OpenTable) -> Types:
    """As what the keys of two tables are held against each other: as text where they differ."""
    pairs = zip(base.key_types, head.key_types, strict=True)
    return tuple(one if one == other else pl.String for one, other in pairs)


def list_parts(*sizes: int, most: int = _MOST_ROWS) -> tuple[Part, ...]:
    """All parts of tables of so many rows, none of which is much longer than `most`."""
    number = max(1, math.ceil(max(sizes) / most))
    return tuple(Part(index, number) for index in range(number))


def diff_tables(base: OpenTable, head: OpenTable) -> TableDiff:
    """How the candidate's rows and columns differ from the baseline's."""
    shared = tuple(name for name in head.columns if name in base.kinds)
    types, counts = meet_types(base, head), _Counts(label=head.table.label)
    for part in list_parts(base.size, head.size):
        _diff_part(base, head, types, part, shared, counts)
    return TableDiff(
        name=head.table.name,
        path=head.table.path,
        role=head.table.role,
        n_base=base.size,
        n_head=head.size,
        schema=_diff_schema(base, head),
        added=counts.added.state(),
        removed=counts.removed.state(),
        changed=counts.changed.state(),
        flips=counts.flips.state(),
        relabelled=tuple(_rank(counts.relabelled)[:_SHOWN]),
        columns=tuple(ColumnChange(column=name, rows=rows) for name, rows in _rank(counts.columns)),
    )


def find_leak(table: OpenTable, other: OpenTable) -> Leak:
    """The keys that two tables of one side share."""
    types, found = meet_types(table, other), _Found()
    for part in list_parts(table.size, other.size):
        mine, theirs = table.read_keys(types, part), other.read_keys(types, part)
        found.add(mine.join(theirs, on=mine.columns, how="semi"))
    return Leak(other=other.table.name, shared=found.state())


@dataclass(slots=True)
class _Found:
    """Rows while they are counted; `first` holds the smallest keys, and what is told beside each."""

    count: int = 0
    first: pl.DataFrame | None = None

    def add(self, rows: pl.DataFrame) -> None:
        """Count rows, whose columns are the keys and perhaps what is told beside them."""
        self.count += rows.height
        together = rows if self.first is None else pl.concat([self.first, rows])
        self.first = together.bottom_k(_SHOWN, by=_list_keys(rows))

    def state(self) -> Rows:
        if self.first is None or not self.count:
            return Rows()
        keys = _list_keys(self.first)
        shown = show_keys(self.first, keys)
        if _TOLD in self.first.columns:
            told = self.first.sort(keys)[_TOLD]
            shown = tuple(f"{key} ({words})" for key, words in zip(shown, told, strict=True))
        return Rows(count=self.count, examples=shown)


@dataclass(slots=True)
class _Counts:
    """A comparison while its parts are added up."""

    label: str | None
    added: _Found = field(default_factory=_Found)
    removed: _Found = field(default_factory=_Found)
    changed: _Found = field(default_factory=_Found)
    flips: _Found = field(default_factory=_Found)
    relabelled: Counter[str] = field(default_factory=Counter)
    columns: Counter[str] = field(default_factory=Counter)


def _diff_part(
    base: OpenTable, head: OpenTable, types: Types, part: Part, shared: tuple[str, ...], counts: _Counts
) -> None:
    before, after = base.read_keys(types, part), head.read_keys(types, part)
    keys, places = after, None
    if not before.equals(after):
        numbered = after.with_row_index(_AT_HEAD)
        joined = numbered.join(before.with_row_index(_AT_BASE), on=after.columns, how="inner")
        places, keys = joined.select(_AT_BASE, _AT_HEAD), joined.select(after.columns)
        counts.added.add(after.join(keys, on=keys.columns, how="anti"))
        counts.removed.add(before.join(keys, on=keys.columns, how="anti"))
    any_different = pl.repeat(value=False, n=keys.height, eager=True, dtype=pl.Boolean)
    for batch in _list_batches(shared, max(before.height, after.height)):
        left, right = base.read(batch, types, part), head.read(batch, types, part)
        if places is not None:
            left = left.select(pl.all().gather(places[_AT_BASE]))
            right = right.select(pl.all().gather(places[_AT_HEAD]))
        for name in batch:
            different = are_different(left[name], right[name])
            number = int(different.sum())
            counts.columns[name] += number
            if number:
                any_different |= different
            if number and name == counts.label:
                labels = pl.DataFrame({"before": left[name], "after": right[name]}).filter(different)
                _count_flips(keys.filter(different), labels, counts)
    counts.changed.add(keys.filter(any_different))


def _count_flips(keys: pl.DataFrame, labels: pl.DataFrame, counts: _Counts) -> None:
    """Labels that differ: how many there are of each kind, and of the first rows what they were and are."""
    kinds = labels.group_by("before", "after").len().sort("len", "before", "after", descending=[True, False, False])
    for was, now, number in kinds.head(_MOST_KINDS).iter_rows():
        counts.relabelled[_tell_flip(was, now)] += number
    rows = pl.concat([keys, labels], how="horizontal").bottom_k(_SHOWN, by=keys.columns)
    told = pl.Series(_TOLD, [_tell_flip(was, now) for was, now in rows.select(labels.columns).iter_rows()], pl.String)
    counts.flips.add(rows.select(keys.columns).with_columns(told))
    counts.flips.count += keys.height - rows.height


def _tell_flip(was: object, now: object) -> str:
    return f"{show_value(was)} → {show_value(now)}"


def _rank(counts: Counter[str]) -> list[tuple[str, int]]:
    """What was counted at all, the most frequent first, whatever the order in which it was met."""
    return sorted(((name, rows) for name, rows in counts.items() if rows), key=lambda pair: (-pair[1], pair[0]))


def _list_keys(rows: pl.DataFrame) -> list[str]:
    return [name for name in rows.columns if name != _TOLD]


def _list_batches(columns: tuple[str, ...], rows: int) -> Iterator[tuple[str, ...]]:
    """The columns, so many at a time as fit into memory."""
    step = max(1, _MOST_VALUES // max(rows, 1))
    return (columns[start : start + step] for start in range(0, len(columns), step))


def _diff_schema(base: OpenTable, head: OpenTable) -> SchemaChange:
    """The columns that came, went, or have another type; those of the key among them."""
    old, new = ((*side.table.key, *side.columns) for side in (base, head))
    return SchemaChange(
        added=tuple(name for name in new if name not in base.kinds),
        removed=tuple(name for name in old if name not in head.kinds),
        retyped=tuple(
            TypeChange(column=name, base=str(base.kinds[name]), head=str(head.kinds[name]))
            for name in new
            if name in base.kinds and base.kinds[name] != head.kinds[name]
        ),
    )


def matches_any(name: str, patterns: tuple[str, ...]) -> bool:
    """Whether one of the patterns is the column's name, or fits it."""
    return any(fnmatchcase(name, pattern) or name == pattern for pattern in patterns)
