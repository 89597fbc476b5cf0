"""What became of the tables that a model is trained and evaluated on: rows, labels, columns, leaks, drift."""

from __future__ import annotations

from decimal import Decimal
from enum import Enum

from msgspec import Struct

from seatrial.core.comparison import Side
from seatrial.core.metrics import Problem


class Role(str, Enum):
    """What a table is for: a key that a training table shares with an evaluation table is a leak."""

    TRAIN = "train"
    EVALUATION = "evaluation"


class Rows(Struct, frozen=True, kw_only=True):
    """Some rows of a table, by how many there are and a few of their keys."""

    count: int = 0
    examples: tuple[str, ...] = ()


class ColumnChange(Struct, frozen=True, kw_only=True):
    """A column, and in how many of the rows that both sides hold its value differs."""

    column: str
    rows: int


class TypeChange(Struct, frozen=True, kw_only=True):
    """A column that both sides have, with another type on each."""

    column: str
    base: str
    head: str


class SchemaChange(Struct, frozen=True, kw_only=True):
    """How the columns differ."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    retyped: tuple[TypeChange, ...] = ()

    def __bool__(self) -> bool:
        """Whether they differ at all."""
        return bool(self.added or self.removed or self.retyped)


class ColumnDrift(Struct, frozen=True, kw_only=True):
    """How far a column's distribution moved, or why that can't be said.

    `limit` is the larger of 0.1 and the PSI that 95 % of samples of this size stay below when nothing changed.
    `wasserstein` is in units of the old interquartile range (its standard deviation where that is 0), None for
    categories. `novel` counts rows in categories that were not there before.
    """

    column: str
    psi: float | None = None
    limit: float | None = None
    jensen_shannon: float | None = None
    wasserstein: float | None = None
    missing_before: float = 0.0
    missing_now: float = 0.0
    novel: int = 0
    reason: str = ""

    def is_beyond(self, most: Decimal | None = None) -> bool:
        """Whether its PSI is above `most`, or else above its own limit."""
        limit = self.limit if most is None else float(most)
        return self.psi is not None and limit is not None and self.psi > limit


class Drift(Struct, frozen=True, kw_only=True):
    """The columns of a table against those of another or, where `against` is empty, of its own baseline.

    The largest drift comes first. `n_before` and `n_now` are the rows that were looked at: of a large table, a sample
    that its keys decide.
    """

    against: str = ""
    columns: tuple[ColumnDrift, ...] = ()
    n_before: int = 0
    n_now: int = 0


class Leak(Struct, frozen=True, kw_only=True):
    """The keys that a table shares with `other`, on the candidate's side and (None where unknown) the baseline's."""

    other: str
    shared: Rows
    before: int | None = None


class TableDiff(Struct, frozen=True, kw_only=True):
    """One table on both sides.

    `identical` is known from the digests, without reading; `new` says that the baseline does not have the table. A
    number is None where it was not counted. `flips` are rows whose label differs, `changed` those where any compared
    column does; `relabelled` counts flips by their labels, the most frequent first. With a `problem` on a `side` only
    what was known before it is there.
    """

    name: str
    path: str
    role: Role | None = None
    identical: bool = False
    new: bool = False
    n_base: int | None = None
    n_head: int | None = None
    added: Rows = Rows()
    removed: Rows = Rows()
    changed: Rows = Rows()
    flips: Rows = Rows()
    relabelled: tuple[tuple[str, int], ...] = ()
    schema: SchemaChange = SchemaChange()
    columns: tuple[ColumnChange, ...] = ()
    drifts: tuple[Drift, ...] = ()
    leaks: tuple[Leak, ...] = ()
    problem: Problem | None = None
    side: Side | None = None

    @property
    def compared(self) -> bool:
        """Whether both sides are known, read or identical."""
        return self.problem is None and not self.new

    @property
    def n_common(self) -> int | None:
        """How many rows have a key that both sides hold."""
        return None if self.n_head is None else self.n_head - self.added.count
