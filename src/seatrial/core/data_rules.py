"""Gates on tables: how many rows may come, go, differ or change their label; columns, leaks, drift."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from enum import Enum

from msgspec import Struct

from seatrial.core.comparison import Change, Side, measure_delta
from seatrial.core.data import Drift, Leak, Rows, TableDiff
from seatrial.core.metrics import Direction, MetricId, State
from seatrial.core.verdict import Finding, Judged, Margin, Outcome, Severity, breach


class Count(str, Enum):
    """What of the rows is limited; the value is the policy's key."""

    ADDED = "max_rows_added"
    REMOVED = "max_rows_removed"
    CHANGED = "max_rows_changed"
    FLIPPED = "max_label_flips"


class RowRule(Struct, frozen=True, kw_only=True):
    """How many rows may have been added, and so on: a count, or a share.

    A share is of the baseline's rows where rows came or went, else of the rows that both sides hold.
    """

    table: str
    place: str
    count: Count
    most: Margin
    severity: Severity = Severity.FAIL


class SchemaRule(Struct, frozen=True, kw_only=True):
    """What it does that columns came, went or have another type."""

    table: str
    place: str
    severity: Severity


class LeakRule(Struct, frozen=True, kw_only=True):
    """How many keys a table may share with `other`: a count, or a share of the table's rows."""

    table: str
    place: str
    other: str
    most: Margin
    severity: Severity = Severity.FAIL


class DriftRule(Struct, frozen=True, kw_only=True):
    """How large the PSI of any column may be, against the baseline or another table of the candidate.

    Without `most` each column's own limit counts, which allows for the number of rows.
    """

    table: str
    place: str
    against: str = ""
    most: Decimal | None = None
    severity: Severity = Severity.WARN


AnyTableRule = RowRule | SchemaRule | LeakRule | DriftRule

_NAMES = {
    Count.ADDED: "rows added to",
    Count.REMOVED: "rows removed from",
    Count.CHANGED: "rows changed in",
    Count.FLIPPED: "labels flipped in",
}


_SMALLEST = 0.0005  # below, three decimals are none


def judge_tables(rules: Iterable[AnyTableRule], tables: Iterable[TableDiff]) -> list[Finding]:
    """What every rule says of its table, then which tables can't be read."""
    by_name = {table.name: table for table in tables}
    judged = [(rule, by_name[rule.table]) for rule in rules if rule.table in by_name]
    findings = [finding for rule, table in judged for finding in _judge(rule, table)]
    guarded = {name for rule, _ in judged for name in _list_tables(rule)}
    return findings + [_report_problem(table) for table in by_name.values() if table.problem and table.name in guarded]


def _list_tables(rule: AnyTableRule) -> tuple[str, ...]:
    """The tables without which a rule has no answer."""
    match rule:
        case LeakRule():
            return rule.table, rule.other
        case DriftRule():
            return rule.table, rule.against
        case RowRule() | SchemaRule():
            return (rule.table,)


def _judge(rule: AnyTableRule, table: TableDiff) -> list[Finding]:
    """One answer; none where the table's own problem is the answer."""
    match rule:
        case RowRule():
            return [] if table.problem else [_judge_rows(rule, table)]
        case SchemaRule():
            return [] if table.problem else [_judge_schema(rule, table)]
        case LeakRule():
            return [_judge_leak(rule, table)]
        case DriftRule():
            return [] if table.problem and not rule.against else [_judge_drift(rule, table)]


def _report_problem(table: TableDiff) -> Finding:
    assert table.problem is not None
    outcome = Outcome.INCONCLUSIVE if table.side is Side.BASE else Outcome.FAILED
    return Finding(
        id=MetricId(file=table.problem.path, key=()),
        check="readable",
        limit="readable",
        outcome=outcome,
        severity=Severity.FAIL,
        reason=table.problem.message,
        hint=table.problem.hint,
    )


def _find(
    rule: AnyTableRule, name: str, check: str, limit: str, judged: Judged, change: Change | None = None
) -> Finding:
    identity = MetricId(file=rule.table, key=(name,))
    return judged.of(identity, check, limit, severity=rule.severity, place=rule.place, change=change)


_NEW = Judged(Outcome.NOT_JUDGED, "new: the baseline has no such table")
_SAME = Judged(Outcome.PASSED, "the same on both sides")


def _judge_rows(rule: RowRule, table: TableDiff) -> Finding:
    judged = _NEW if table.new else _SAME if table.identical else _count_rows(rule, table)
    return _find(rule, f"{_NAMES[rule.count]} {table.name}", rule.count.value, f"≤ {rule.most}", judged)


def _count_rows(rule: RowRule, table: TableDiff) -> Judged:
    rows, total = _choose_rows(rule.count, table)
    if rows.count <= rule.most.resolve(Decimal(total)):
        return Judged(Outcome.PASSED, f"{rows.count:,} of {total:,}")
    told = f"{rows.count:,} of {total:,}"
    if rule.count is Count.FLIPPED and table.relabelled and table.relabelled[0][1] * 2 > rows.count > 1:
        told += f", most of them {table.relabelled[0][0]}"
    return Judged(breach(rule.severity), told, f"look at the rows {'; '.join(rows.examples[:3])}")


def _choose_rows(count: Count, table: TableDiff) -> tuple[Rows, int]:
    before, common = table.n_base or 0, table.n_common or 0
    match count:
        case Count.ADDED:
            return table.added, before
        case Count.REMOVED:
            return table.removed, before
        case Count.CHANGED:
            return table.changed, common
        case Count.FLIPPED:
            return table.flips, common


def _judge_schema(rule: SchemaRule, table: TableDiff) -> Finding:
    schema = table.schema
    parts = [f"{column} is new" for column in schema.added]
    parts += [f"{column} is gone" for column in schema.removed]
    parts += [f"{one.column} was {one.base}, is {one.head}" for one in schema.retyped]
    if table.new:
        judged = _NEW
    elif table.identical or not parts:
        judged = _SAME
    else:
        told = "; ".join(parts[:3]) + (f" and {len(parts) - 3:,} more" if parts[3:] else "")
        judged = Judged(breach(rule.severity), told)
    return _find(rule, f"columns of {table.name}", "schema", "the same columns", judged)


def _judge_leak(rule: LeakRule, table: TableDiff) -> Finding:
    name = f"keys of {rule.table} in {rule.other}"
    leak = next((leak for leak in table.leaks if leak.other == rule.other), None)
    if leak is None:
        judged = Judged(Outcome.INCONCLUSIVE, f"{table.name} or {rule.other} can't be read")
        return _find(rule, name, "leakage", f"≤ {rule.most}", judged)
    kept = leak.shared.count <= rule.most.resolve(Decimal(table.n_head or 0))
    judged = Judged(Outcome.PASSED, "") if kept else _tell_leak(rule, leak)
    change = _state_leak(MetricId(file=table.name, key=(name,)), leak)
    return _find(rule, name, "leakage", f"≤ {rule.most}", judged, change)


def _tell_leak(rule: LeakRule, leak: Leak) -> Judged:
    older = leak.before is not None and leak.before >= leak.shared.count
    told = "a leak, which the baseline has too" if older else "a leak"
    return Judged(
        breach(rule.severity), told, f"take them out of one of the two: {'; '.join(leak.shared.examples[:3])}"
    )


def _state_leak(identity: MetricId, leak: Leak) -> Change:
    before, now = leak.before, leak.shared.count
    return Change(
        id=identity,
        state=State.ADDED if before is None else State.UNCHANGED if before == now else State.CHANGED,
        base=before,
        head=now,
        delta=measure_delta(before, now),
        direction=Direction.LOWER,
    )


def _judge_drift(rule: DriftRule, table: TableDiff) -> Finding:
    name = f"drift of {rule.table} from {rule.against}" if rule.against else f"drift of {rule.table}"
    limit = "PSI ≤ 0.1 or noise" if rule.most is None else f"PSI ≤ {rule.most:f}"
    drift = next((drift for drift in table.drifts if drift.against == rule.against), None)
    if drift is not None:
        judged = _weigh_drift(rule, drift)
    elif rule.against:
        judged = Judged(Outcome.INCONCLUSIVE, f"{table.name} or {rule.against} can't be read")
    else:
        judged = _NEW if table.new else _SAME
    return _find(rule, name, "drift", limit, judged)


def _weigh_drift(rule: DriftRule, drift: Drift) -> Judged:
    known = [column for column in drift.columns if column.psi is not None]
    if not known:
        return Judged(Outcome.INCONCLUSIVE, "no column can be compared")
    beyond = [column for column in known if column.is_beyond(rule.most)]
    first = (beyond or known)[0]
    told = f"{first.column} most, {f'{first.psi:.3f}' if (first.psi or 0.0) >= _SMALLEST else '< 0.001'}"
    if not beyond:
        return Judged(Outcome.PASSED, told)
    told = f"{len(beyond):,} of {len(known):,} columns: {told}" if len(known) > 1 else told
    return Judged(breach(rule.severity), told, f"look at what changed in {first.column}")
