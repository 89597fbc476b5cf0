"""The facts of a report that tables yield: rows, labels, columns, leaks, drift.

Part of the published schema, like everything in `facts`.
"""

from __future__ import annotations

from msgspec import Struct

from seatrial.core.data import ColumnDrift, Drift, Leak, Rows, TableDiff, TypeChange

# A table of 10,000 columns would make a report of megabytes.
_MOST_COLUMNS = 200


class RowFacts(Struct, frozen=True, kw_only=True):
    """Some rows of a table: how many, and the keys of a few."""

    count: int
    examples: tuple[str, ...]


class ColumnFacts(Struct, frozen=True, kw_only=True):
    """A column, and in how many of the rows that both sides hold its value differs."""

    column: str
    rows: int


class TypeFacts(Struct, frozen=True, kw_only=True):
    """A column that has another type on each side."""

    column: str
    base: str
    head: str


class ColumnDriftFacts(Struct, frozen=True, kw_only=True):
    """How far a column's distribution moved; null where `reason` says why that can't be told.

    `psi` is the population stability index in nats, `limit` the larger of 0.1 and the 95 % point of what so many rows
    have when nothing changed; `jensen_shannon` is the distance, 0 to 1; `wasserstein` is in interquartile ranges of the
    old column.
    """

    column: str
    psi: float | None
    limit: float | None
    jensen_shannon: float | None
    wasserstein: float | None
    missing_before: float
    missing_now: float
    novel: int
    reason: str


class DriftFacts(Struct, frozen=True, kw_only=True):
    """The drift of a table's columns, the largest first, at most 200; `against` is null for its own baseline."""

    against: str | None
    n_before: int
    n_now: int
    columns_compared: int
    columns: tuple[ColumnDriftFacts, ...]


class LeakFacts(Struct, frozen=True, kw_only=True):
    """The keys that a table shares with another; `before` is how many the baseline's share, null where unknown."""

    other: str
    shared: int
    before: int | None
    examples: tuple[str, ...]


class TableFacts(Struct, frozen=True, kw_only=True):
    """One table on both sides.

    `state` is `identical` (the same bytes, so nothing was counted), `compared`, `new` or `unreadable`. At most 200
    columns are listed, those that differ in most rows first; `columns_changed` counts them all. `side` is the one that
    can't be read.
    """

    name: str
    path: str
    role: str | None
    state: str
    n_base: int | None
    n_head: int | None
    added: RowFacts
    removed: RowFacts
    changed: RowFacts
    label_flips: RowFacts
    columns_added: tuple[str, ...]
    columns_removed: tuple[str, ...]
    columns_retyped: tuple[TypeFacts, ...]
    columns_changed: int
    columns: tuple[ColumnFacts, ...]
    drifts: tuple[DriftFacts, ...]
    leaks: tuple[LeakFacts, ...]
    problem: str
    side: str | None = None


def state_table(table: TableDiff) -> TableFacts:
    """All that is known of a table, as data."""
    return TableFacts(
        name=table.name,
        path=table.path,
        role=table.role.value if table.role else None,
        state=_name_state(table),
        n_base=table.n_base,
        n_head=table.n_head,
        added=_state_rows(table.added),
        removed=_state_rows(table.removed),
        changed=_state_rows(table.changed),
        label_flips=_state_rows(table.flips),
        columns_added=table.schema.added[:_MOST_COLUMNS],
        columns_removed=table.schema.removed[:_MOST_COLUMNS],
        columns_retyped=tuple(_state_type(one) for one in table.schema.retyped[:_MOST_COLUMNS]),
        columns_changed=len(table.columns),
        columns=tuple(ColumnFacts(column=one.column, rows=one.rows) for one in table.columns[:_MOST_COLUMNS]),
        drifts=tuple(_state_drift(drift) for drift in table.drifts),
        leaks=tuple(_state_leak(leak) for leak in table.leaks),
        problem=table.problem.message if table.problem else "",
        side=table.side.value if table.side else None,
    )


def _name_state(table: TableDiff) -> str:
    if table.problem:
        return "unreadable"
    return "new" if table.new else "identical" if table.identical else "compared"


def _state_rows(rows: Rows) -> RowFacts:
    return RowFacts(count=rows.count, examples=rows.examples)


def _state_type(change: TypeChange) -> TypeFacts:
    return TypeFacts(column=change.column, base=change.base, head=change.head)


def _state_drift(drift: Drift) -> DriftFacts:
    return DriftFacts(
        against=drift.against or None,
        n_before=drift.n_before,
        n_now=drift.n_now,
        columns_compared=len(drift.columns),
        columns=tuple(_state_column(column) for column in drift.columns[:_MOST_COLUMNS]),
    )


def _state_column(column: ColumnDrift) -> ColumnDriftFacts:
    return ColumnDriftFacts(
        column=column.column,
        psi=column.psi,
        limit=column.limit,
        jensen_shannon=column.jensen_shannon,
        wasserstein=column.wasserstein,
        missing_before=column.missing_before,
        missing_now=column.missing_now,
        novel=column.novel,
        reason=column.reason,
    )


def _state_leak(leak: Leak) -> LeakFacts:
    return LeakFacts(other=leak.other, shared=leak.shared.count, before=leak.before, examples=leak.shared.examples)
