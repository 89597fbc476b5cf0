"""What the report says of the tables that a model is trained and evaluated on."""

from __future__ import annotations

from collections.abc import Iterable

from seatrial.core.data import ColumnDrift, Drift, TableDiff
from seatrial.core.document import Align, Block, Code, Column, Folded, Line, Paragraph, Table, Text
from seatrial.core.numbers import MINUS
from seatrial.core.phrases import count, join_names

_MOST_COLUMNS = 10
_SMALLEST = 0.0005


def fold_tables(tables: tuple[TableDiff, ...]) -> list[Block]:
    """One folded part for all tables; nothing where the policy names none."""
    if not tables:
        return []
    blocks: list[Block] = [_table_rows(tables)]
    for table in tables:
        blocks += _tell_examples(table)
        blocks += _table_columns(table) if table.columns else ()
        for drift in table.drifts:
            blocks += _table_drift(table, drift)
    return [Folded(summary=(Text(f"Data: {_summarise(tables)}"),), blocks=tuple(blocks))]


def _summarise(tables: tuple[TableDiff, ...]) -> str:
    still = [table.name for table in tables if table.identical]
    parts = [f"{table.name} {_tell_rows(table)}" for table in tables if not table.identical]
    parts += [f"{join_names(still)} unchanged"] if still else []
    parts += [
        f"{count(leak.shared.count, 'key')} of {table.name} also in {leak.other}"
        for table in tables
        for leak in table.leaks
        if leak.shared.count
    ]
    drifts = [_tell_drift(table, drift) for table in tables for drift in table.drifts]
    return "; ".join([*parts, *(told for told in drifts if told)])


def _tell_rows(table: TableDiff) -> str:
    if table.problem:
        return "can't be compared"
    if table.new:
        return "is new"
    came, went = table.added.count, table.removed.count
    signed = [f"+{came:,}"] * bool(came) + [f"{MINUS}{went:,}"] * bool(went)
    parts = [f"{' '.join(signed)} rows"] if signed else []
    whole = table.changed.count == table.n_common
    told = "every row changed" if whole else f"{count(table.changed.count, 'row')} changed"
    parts += [told] if table.changed.count else []
    parts += [f"{count(table.flips.count, 'label')} flipped"] if table.flips.count else []
    schema = table.schema
    differing = len(schema.added) + len(schema.removed) + len(schema.retyped)
    parts += [f"{count(differing, 'column')} new, gone or retyped"] if differing else []
    return ", ".join(parts) or "has the same rows"


def _tell_drift(table: TableDiff, drift: Drift) -> str:
    """The largest drift beyond its own noise, in a phrase; nothing where there is none."""
    beyond = [column for column in drift.columns if column.is_beyond()]
    if not beyond:
        return ""
    source = f" from {drift.against}" if drift.against else ""
    more = f" and {len(beyond) - 1:,} more" if beyond[1:] else ""
    return f"drift of {table.name}{source}: {beyond[0].column} PSI {beyond[0].psi:.2f}{more}"


def _table_rows(tables: Iterable[TableDiff]) -> Table:
    titles = ("rows before", "rows now", "added", "removed", "changed", "labels flipped")
    return Table(
        columns=(
            Column(title=(Text("table"),)),
            *(Column(title=(Text(title),), align=Align.RIGHT) for title in titles),
            Column(title=()),
        ),
        rows=tuple(_row_table(table) for table in tables),
    )


def _row_table(table: TableDiff) -> tuple[Line, ...]:
    counted = table.compared and not table.identical
    counts = (table.added, table.removed, table.changed, table.flips)
    return (
        (Code(table.name),),
        *((Text("–" if size is None else f"{size:,}"),) for size in (table.n_base, table.n_head)),
        *((Text(f"{rows.count:,}" if counted else "–"),) for rows in counts),
        (Text(_word_table(table)),),
    )


def _word_table(table: TableDiff) -> str:
    if table.problem:
        return table.problem.message
    if table.new:
        return "new: the baseline has no such table"
    if table.identical:
        return "the same bytes on both sides"
    schema = table.schema
    parts = [f"without {join_names(list(schema.removed))}"] if schema.removed else []
    parts += [f"with {join_names(list(schema.added))}"] if schema.added else []
    retyped = [f"{one.column} {one.base} → {one.head}" for one in schema.retyped]
    return "; ".join([*parts, *([join_names(retyped)] if retyped else [])])


def _tell_examples(table: TableDiff) -> Iterable[Block]:
    """The first keys of what somebody may want to look at, and what the labels were and are."""
    named = (
        ("labels flipped", table.flips),
        ("rows removed", table.removed),
        ("rows added", table.added),
        *((f"keys also in {leak.other}", leak.shared) for leak in table.leaks),
    )
    for name, rows in named:
        if rows.count:
            more = f" and {rows.count - len(rows.examples):,} more" if rows.count > len(rows.examples) else ""
            yield Paragraph(line=(Text(f"{table.name}, {name}: {'; '.join(rows.examples)}{more}."),))
    if len(table.relabelled) > 1 and table.relabelled[0][1] > 1:
        told = ", ".join(f"{kind} in {count(number, 'row')}" for kind, number in table.relabelled)
        yield Paragraph(line=(Text(f"{table.name}, by label: {told}."),))


def _table_columns(table: TableDiff) -> Iterable[Block]:
    """The columns whose values differ, in most rows first."""
    common = table.n_common or 1
    rows: tuple[tuple[Line, ...], ...] = tuple(
        ((Code(one.column),), (Text(f"{one.rows:,}"),), (Text(_spell_share(one.rows / common)),))
        for one in table.columns[:_MOST_COLUMNS]
    )
    columns = (
        Column(title=(Text(f"column of {table.name}"),)),
        Column(title=(Text("rows changed"),), align=Align.RIGHT),
        Column(title=(Text("share"),), align=Align.RIGHT),
    )
    yield Table(columns=columns, rows=rows)
    yield from _tell_rest(len(table.columns))


def _table_drift(table: TableDiff, drift: Drift) -> Iterable[Block]:
    """The columns by their drift, the largest first."""
    source = drift.against or "the baseline"
    titles = ("PSI", "limit", "Jensen–Shannon", "Wasserstein", "missing")
    yield Paragraph(
        line=(Text(f"Drift of {table.name} from {source}, on {drift.n_before:,} and {drift.n_now:,} rows:"),)
    )
    yield Table(
        columns=(
            Column(title=(Text("column"),)),
            *(Column(title=(Text(title),), align=Align.RIGHT) for title in titles),
            Column(title=()),
        ),
        rows=tuple(_row_drift(column) for column in drift.columns[:_MOST_COLUMNS]),
    )
    yield from _tell_rest(len(drift.columns))


def _row_drift(column: ColumnDrift) -> tuple[Line, ...]:
    numbers = (column.psi, column.limit, column.jensen_shannon, column.wasserstein)
    before, now = column.missing_before, column.missing_now
    gone = f"{_spell_share(before)} → {_spell_share(now)}" if before != now else _spell_share(now) if now else ""
    novel = f"{count(column.novel, 'row')} in new categories" if column.novel else ""
    moved = "moved" if column.is_beyond() else ""
    return (
        (Code(column.column),),
        *((Text(_spell_effect(number)),) for number in numbers),
        (Text(gone),),
        (Text(column.reason or ", ".join(word for word in (moved, novel) if word)),),
    )


def _spell_share(share: float) -> str:
    """A share of rows; what is not all and not none is never told as if it were."""
    if 0 < share < _SMALLEST:
        return "< 0.1 %"
    return "> 99.9 %" if 1 - _SMALLEST < share < 1 else f"{share * 100:.3g} %"


def _spell_effect(effect: float | None) -> str:
    if effect is None:
        return "–"
    return "< 0.001" if 0 < effect < _SMALLEST else f"{effect:.3f}"


def _tell_rest(total: int) -> Iterable[Block]:
    if total > _MOST_COLUMNS:
        yield Paragraph(line=(Text(f"{total - _MOST_COLUMNS:,} more columns are not listed here."),))
