"""The report's tables: gates, changed values, the pipeline."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from seatrial.core.comparison import Change, Comparison, FileChange
from seatrial.core.document import Align, Block, Code, Column, Folded, Inline, Line, Mark, Sign, Strong, Table, Text
from seatrial.core.metrics import MetricId
from seatrial.core.numbers import Spelling, spell_bytes
from seatrial.core.phrases import (
    NO_BREAK,
    arrow,
    cell_delta,
    count,
    join_names,
    list_names,
    word_change,
    word_effect,
    word_file,
)
from seatrial.core.revision import RevisionRange
from seatrial.core.verdict import Gate, Outcome

Spell = Callable[[Change], Spelling]
# A reviewer has three seconds: of more gates than the first number, only so many rows as the second are open.
_MANY_GATES, _OPEN_GATES = 10, 8
_MARKS: Mapping[Outcome, Mark] = {
    Outcome.PASSED: Mark.PASSED,
    Outcome.NOTED: Mark.NEUTRAL,
    Outcome.WARNED: Mark.WARNED,
    Outcome.WAIVED: Mark.NEUTRAL,
    Outcome.INCONCLUSIVE: Mark.INCONCLUSIVE,
    Outcome.FAILED: Mark.FAILED,
    Outcome.NOT_JUDGED: Mark.NEUTRAL,
}


def table_gates(
    gates: tuple[Gate, ...], revisions: RevisionRange, labels: Mapping[MetricId, str], spell: Spell
) -> list[Block]:
    """One row for each gate, those that did not pass first and kept; of many, those that passed last are folded."""
    if not gates:
        return []
    has_interval = any(gate.worst.change and gate.worst.change.interval for gate in gates)
    columns = (
        Column(title=(), align=Align.CENTRE),
        Column(title=(Text("gate"),)),
        Column(title=_name_base(revisions), align=Align.RIGHT),
        Column(title=_name_side(revisions.head.name, revisions.head.short), align=Align.RIGHT),
        Column(title=(Text("change (95 % CI)" if has_interval else "change"),), align=Align.RIGHT),
        Column(title=(Text("limit"),), align=Align.RIGHT),
        Column(title=()),
    )
    rows = tuple(_row_gate(gate, labels, spell) for gate in gates)
    keep = sum(gate.worst.outcome is not Outcome.PASSED for gate in gates)
    open_rows = max(keep, len(rows) if len(rows) <= _MANY_GATES else _OPEN_GATES)

    def set_table(part: tuple[tuple[Line, ...], ...], kept: int) -> Table:
        table = Table(columns=columns, rows=part, keep=kept)
        return table if revisions.base else drop_columns(table, 2, 4)

    blocks: list[Block] = [set_table(rows[:open_rows], keep)]
    if rest := rows[open_rows:]:
        summary = (Text(f"{count(len(rest), 'more gate')} passed"),)
        blocks.append(Folded(summary=summary, blocks=(set_table(rest, 0),)))
    return blocks


def drop_columns(table: Table, *indexes: int) -> Table:
    """A table without the columns that have nothing to say."""
    kept = [index for index in range(len(table.columns)) if index not in indexes]
    return Table(
        columns=tuple(table.columns[index] for index in kept),
        rows=tuple(tuple(row[index] for index in kept) for row in table.rows),
        keep=table.keep,
    )


def _name_base(revisions: RevisionRange) -> Line:
    return _name_side(revisions.base.name, revisions.base.short) if revisions.base else (Text("baseline"),)


def _name_side(name: str, short: str) -> Line:
    return (Text(f"{name} {short}".strip()),)


def _row_gate(gate: Gate, labels: Mapping[MetricId, str], spell: Spell) -> tuple[Line, ...]:
    finding = gate.worst
    change = finding.change
    spelled = spell(change) if change else None
    return (
        (Sign(_MARKS[finding.outcome]),),
        (Code(labels[finding.id]), Text(arrow(change))),
        (Text(spelled.base if spelled else "–"),),
        (_weigh(spelled.head if spelled else "–", finding.outcome),),
        (Text(cell_delta(spelled)),),
        (Text(", ".join(each.limit.replace(" ", NO_BREAK) for each in gate.findings)),),
        (Text(_word_gate(gate)),),
    )


def _weigh(value: str, outcome: Outcome) -> Inline:
    """The candidate's value, in bold where it is what the reader has to look at."""
    quiet = outcome in {Outcome.PASSED, Outcome.NOTED, Outcome.NOT_JUDGED}
    return Text(value) if quiet else Strong(value)


def _word_gate(gate: Gate) -> str:
    """Why a gate did not pass, or did not pass whole, else what became of its metric."""
    waits = next((each.reason for each in gate.findings if each.outcome is Outcome.NOT_JUDGED), "")
    return gate.worst.reason or waits or (word_effect(gate.worst.change) if gate.worst.change else "")


def table_changes(
    changes: Iterable[Change],
    revisions: RevisionRange,
    labels: Mapping[MetricId, str],
    spell: Spell,
) -> Table:
    """One row for each value."""
    rows = []
    for change in changes:
        spelled = spell(change)
        rows.append(
            (
                (Code(labels[change.id]), Text(arrow(change))),
                (Text(spelled.base),),
                (Text(spelled.head),),
                (Text(cell_delta(spelled)),),
                (Text(word_change(change)),),
            )
        )
    columns = (
        Column(title=(Text("name"),)),
        Column(title=_name_base(revisions), align=Align.RIGHT),
        Column(title=_name_side(revisions.head.name, revisions.head.short), align=Align.RIGHT),
        Column(title=(Text("change"),), align=Align.RIGHT),
        Column(title=()),
    )
    table = Table(columns=columns, rows=tuple(rows))
    return table if revisions.base else drop_columns(table, 1, 3, 4)


def table_remedies(remedies: Mapping[str, list[str]]) -> Table:
    """What mends it, with the names of what it mends."""
    return Table(
        columns=(Column(title=(Text("what mends it"),)), Column(title=())),
        rows=tuple(((Text(hint),), (Text(join_names(names)),)) for hint, names in remedies.items()),
    )


def table_pipeline(comparison: Comparison) -> Iterable[Block]:
    """The stages that differ and why, then the files that differ."""
    if comparison.stages:
        yield Table(
            columns=(Column(title=(Text("stage"),)), Column(title=()), Column(title=(Text("because of"),))),
            rows=tuple(
                ((Code(change.address),), (Text(change.state.value),), list_names(change.because))
                for change in comparison.stages
            ),
        )
    if comparison.files:
        yield Table(
            columns=(
                Column(title=(Text("file"),)),
                Column(title=()),
                Column(title=(Text("size before"),), align=Align.RIGHT),
                Column(title=(Text("size now"),), align=Align.RIGHT),
            ),
            rows=tuple(_row_file(change) for change in comparison.files),
        )


def _row_file(change: FileChange) -> tuple[Line, ...]:
    sizes = [
        spell_bytes(record.size) if record and record.size is not None else "–" for record in (change.base, change.head)
    ]
    return ((Code(change.path),), (Text(word_file(change)),), (Text(sizes[0]),), (Text(sizes[1]),))
