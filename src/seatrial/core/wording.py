"""The document that people read: the verdict and what to do next first, everything else folded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial

from msgspec import Struct

from seatrial.core.comparison import Change, Comparison, Effect, FileChange, Side
from seatrial.core.document import (
    Align,
    Block,
    Code,
    Column,
    Diagram,
    Document,
    Folded,
    Footnote,
    Inline,
    Line,
    Link,
    Mark,
    Paragraph,
    Sign,
    Strong,
    Table,
    Text,
)
from seatrial.core.metrics import Direction, MetricId, State
from seatrial.core.naming import label_metrics
from seatrial.core.numbers import Spelling, spell_as_written, spell_bytes, spell_change
from seatrial.core.policy import Finding, Gate, Outcome, Policy, Status, Verdict
from seatrial.core.revision import RevisionRange


class Telling(Struct, frozen=True, kw_only=True):
    """What the report should say beside the numbers, and how much of them.

    `show_all` lists unchanged values too; `precision` is a fixed number of decimals; `policy_source` names
    the policy and where it came from; `notes` are remarks of the run for the small print; `pipeline` is its drawing.
    """

    show_all: bool = False
    precision: int | None = None
    policy_source: str | None = None
    run_url: str | None = None
    notes: tuple[str, ...] = ()
    pipeline: Diagram | None = None


_NO_BREAK = "\N{NO-BREAK SPACE}"
_MARKS: Mapping[Outcome, Mark] = {
    Outcome.PASSED: Mark.PASSED,
    Outcome.NOTED: Mark.NEUTRAL,
    Outcome.WARNED: Mark.WARNED,
    Outcome.INCONCLUSIVE: Mark.INCONCLUSIVE,
    Outcome.FAILED: Mark.FAILED,
    Outcome.NOT_JUDGED: Mark.NEUTRAL,
}


def headline(comparison: Comparison, verdict: Verdict, policy: Policy) -> str:
    """The verdict as one sentence."""
    outcomes = [gate.worst.outcome for gate in verdict.gates]
    failed, undecided = outcomes.count(Outcome.FAILED), outcomes.count(Outcome.INCONCLUSIVE)
    warned = outcomes.count(Outcome.WARNED) + undecided
    total, judged = len(outcomes), len(outcomes) - outcomes.count(Outcome.NOT_JUDGED)
    base = comparison.range.base
    if verdict.status is Status.FAILED:
        return f"Do not merge: {failed} of {_count(total, 'gate')} failed"
    if verdict.status in {Status.INCONCLUSIVE, Status.ERROR}:
        return f"Can't tell: {undecided} of {_count(total, 'gate')} can't be judged"
    if verdict.status is Status.WARNED:
        return f"Merge with care: {warned} of {_count(total, 'gate')} to look at"
    if base is None:
        rest = f"{_count(judged, 'absolute gate')} passed" if judged else "nothing was judged"
        return f"First measurement: no baseline to compare with, {rest}"
    if comparison.is_unchanged:
        return f"No change: metrics are those of {base}"
    if not comparison.metrics:
        return "No metrics: neither side declares any"
    if not any(rule.gates for rule in policy.rules):
        return f"Compared, not judged: no gates are set ({_tally(comparison.metrics)})"
    return f"Ready to merge: {_count(judged, 'gate')} passed"


def write_document(comparison: Comparison, verdict: Verdict, policy: Policy, telling: Telling) -> Document:
    """Lay the report out; its order is the order of a reviewer's questions."""
    labels = label_metrics(
        [*(finding.id for finding in verdict.findings), *(change.id for change in comparison.metrics)]
    )
    gates = verdict.gates
    blocks: list[Block] = [
        *_tell_reason(gates, comparison, labels, telling),
        *_table_gates(gates, comparison.range, labels, telling),
        *_fold_metrics(comparison, {finding.id for finding in verdict.findings}, labels, telling),
        *_fold_params(comparison, telling),
        *_fold_pipeline(comparison, telling.pipeline),
        *_fold_stale(comparison),
        *_fold_problems(comparison),
        Footnote(line=_tell_origin(comparison, telling)),
    ]
    return Document(
        mark=_choose_mark(comparison, verdict, policy),
        title=(Text(headline(comparison, verdict, policy)),),
        blocks=tuple(blocks),
    )


def _choose_mark(comparison: Comparison, verdict: Verdict, policy: Policy) -> Mark:
    if verdict.status is not Status.PASSED:
        return Mark(verdict.status.value)
    silent = not any(rule.gates for rule in policy.rules) and not comparison.is_unchanged
    return Mark.NEUTRAL if comparison.is_first or silent else Mark.PASSED


def _tell_reason(
    gates: tuple[Gate, ...], comparison: Comparison, labels: Mapping[MetricId, str], telling: Telling
) -> list[Block]:
    """The numbers that decided, and the next step."""
    if not gates or gates[0].worst.outcome in {Outcome.NOTED, Outcome.NOT_JUDGED, Outcome.PASSED}:
        return []
    worst = gates[0].worst
    told = _tell_deciding(worst, labels[worst.id], telling)
    return [Paragraph(line=(Strong(told), Text(". "), *_tell_next_step(worst, comparison)))]


def _tell_deciding(worst: Finding, label: str, telling: Telling) -> str:
    """The numbers of the worst finding, or why it has none."""
    change = worst.change
    if change is None or worst.check in {"present", "readable", "reproducible", "fresh"}:
        return f"{label}: {worst.reason}"
    spelled = spell_change(change, precision=telling.precision)
    if change.delta:
        return f"{label} {_tell_change(spelled, change)}, limit {worst.limit}"
    if worst.check in {"at_least", "at_most"}:
        return f"{label} {spelled.head}, limit {worst.limit}"
    return f"{label}: {worst.reason}"


def _tell_change(spelled: Spelling, change: Change) -> str:
    return f"{spelled.base} → {spelled.head} ({_tell_delta(spelled, change)})"


def _tell_delta(spelled: Spelling, change: Change) -> str:
    if not spelled.interval or change.interval is None:
        return spelled.delta
    return f"{spelled.delta}, {change.interval.level * 100:.0f} % CI {spelled.interval}"


def _tell_next_step(worst: Finding, comparison: Comparison) -> Line:
    if worst.hint:
        return (Text(f"Next: {worst.hint}."),)
    changed = [change for change in comparison.params if change.state is State.CHANGED]
    if changed and worst.change and worst.change.delta:
        first = changed[0]
        spelled = spell_as_written(first)
        more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
        return (
            Text("Next: look at what changed with it, "),
            Code(first.id.dotted),
            Text(f" {spelled.base} → {spelled.head}{more}."),
        )
    if worst.place:
        return (Text("Next: mend the model, or change the limit in "), Code(worst.place), Text("."))
    return ()


def _table_gates(
    gates: tuple[Gate, ...], revisions: RevisionRange, labels: Mapping[MetricId, str], telling: Telling
) -> list[Block]:
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
    rows = tuple(_row_gate(gate, labels, telling) for gate in gates)
    keep = sum(gate.worst.outcome is not Outcome.PASSED for gate in gates)
    table = Table(columns=columns, rows=rows, keep=keep)
    return [table if revisions.base else _drop_columns(table, 2, 4)]


def _drop_columns(table: Table, *indexes: int) -> Table:
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


def _row_gate(gate: Gate, labels: Mapping[MetricId, str], telling: Telling) -> tuple[Line, ...]:
    finding = gate.worst
    change = finding.change
    spelled = spell_change(change, precision=telling.precision) if change else None
    return (
        (Sign(_MARKS[finding.outcome]),),
        (Code(labels[finding.id]), Text(_arrow(change))),
        (Text(spelled.base if spelled else "–"),),
        (_weigh(spelled.head if spelled else "–", finding.outcome),),
        (Text(_cell_delta(spelled)),),
        (Text(", ".join(each.limit.replace(" ", _NO_BREAK) for each in gate.findings)),),
        (Text(_word_finding(finding)),),
    )


def _weigh(value: str, outcome: Outcome) -> Inline:
    """The candidate's value, in bold where it is what the reader has to look at."""
    quiet = outcome in {Outcome.PASSED, Outcome.NOTED, Outcome.NOT_JUDGED}
    return Text(value) if quiet else Strong(value)


def _arrow(change: Change | None) -> str:
    if change is None or change.direction is None:
        return ""
    return f"{_NO_BREAK}↑" if change.direction is Direction.HIGHER else f"{_NO_BREAK}↓"


def _cell_delta(spelled: Spelling | None) -> str:
    if spelled is None or not spelled.delta:
        return ""
    return f"{spelled.delta} ({spelled.interval})" if spelled.interval else spelled.delta


def _word_finding(finding: Finding) -> str:
    """Why a gate did not pass, else what became of its metric."""
    return finding.reason or (_word_effect(finding.change) if finding.change else "")


def _word_effect(change: Change) -> str:
    """Better or worse, with what the interval allows to say; nothing where the numbers say it all."""
    if change.effect is Effect.UNKNOWN:
        return change.reason or change.state.value
    if change.effect not in {Effect.BETTER, Effect.WORSE}:
        return ""
    unsure = change.interval and change.interval.low <= 0 <= change.interval.high
    return f"{change.effect.value}, within noise" if unsure else change.effect.value


def _fold_metrics(
    comparison: Comparison, gated: set[MetricId], labels: Mapping[MetricId, str], telling: Telling
) -> list[Block]:
    shown = [
        change
        for change in comparison.metrics
        if telling.show_all or (change.id not in gated and change.state is not State.UNCHANGED)
    ]
    hidden = sum(change.state is State.UNCHANGED for change in comparison.metrics) if not telling.show_all else 0
    if not shown:
        return []
    order = {Effect.WORSE: 0, Effect.UNKNOWN: 1, Effect.CHANGED: 2, Effect.BETTER: 3, Effect.SAME: 4}
    ranked = sorted(shown, key=lambda change: order[change.effect])
    spell = partial(spell_change, precision=telling.precision)
    title = "All metrics" if telling.show_all else "Other metrics" if gated else "Metrics"
    tail = f", {hidden} unchanged" if hidden else ""
    return [
        Folded(
            summary=(Text(f"{title}: {_tally(shown)}{tail}"),),
            blocks=(_table_changes(ranked, comparison.range, labels, spell),),
        )
    ]


def _fold_params(comparison: Comparison, telling: Telling) -> list[Block]:
    shown = [change for change in comparison.params if telling.show_all or change.state is not State.UNCHANGED]
    if not shown or comparison.is_first:
        return []
    labels = label_metrics([change.id for change in shown])
    return [
        Folded(
            summary=(Text(f"Parameters: {_tally(shown)}"),),
            blocks=(_table_changes(shown, comparison.range, labels, spell_as_written),),
        )
    ]


def _table_changes(
    changes: Iterable[Change],
    revisions: RevisionRange,
    labels: Mapping[MetricId, str],
    spell: Callable[[Change], Spelling],
) -> Table:
    rows = []
    for change in changes:
        spelled = spell(change)
        rows.append(
            (
                (Code(labels[change.id]), Text(_arrow(change))),
                (Text(spelled.base),),
                (Text(spelled.head),),
                (Text(_cell_delta(spelled)),),
                (Text(_word_change(change)),),
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
    return table if revisions.base else _drop_columns(table, 1, 3, 4)


def _word_change(change: Change) -> str:
    if change.state in {State.CHANGED, State.UNCHANGED}:
        return _word_effect(change)
    where = f"{change.side.value}: " if change.side is Side.BASE else ""
    return f"{change.state.value}: {where}{change.reason}" if change.reason else change.state.value


def _fold_pipeline(comparison: Comparison, drawing: Diagram | None) -> list[Block]:
    if not (comparison.files or comparison.stages):
        return []
    ran = [change.address for change in comparison.stages if change.state is State.CHANGED]
    parts = []
    if comparison.files:
        parts.append("1 file differs" if len(comparison.files) == 1 else f"{len(comparison.files):,} files differ")
    if ran:
        parts.append(f"{_join(_gather(ran))} ran again")
    return [
        Folded(
            summary=(Text(f"Data and pipeline: {'; '.join(parts) or 'stages were added or removed'}"),),
            blocks=(*([drawing] if drawing else []), *_tables_pipeline(comparison)),
        )
    ]


def _tables_pipeline(comparison: Comparison) -> Iterable[Block]:
    if comparison.stages:
        yield Table(
            columns=(Column(title=(Text("stage"),)), Column(title=()), Column(title=(Text("because of"),))),
            rows=tuple(
                ((Code(change.address),), (Text(change.state.value),), _list_names(change.because))
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
    return ((Code(change.path),), (Text(_word_file(change)),), (Text(sizes[0]),), (Text(sizes[1]),))


def _word_file(change: FileChange) -> str:
    """The state, and of a directory how many of its files it is about."""
    if change.contents is None:
        return change.state.value
    counts = {name: len(getattr(change.contents, name)) for name in ("added", "removed", "modified")}
    told = ", ".join(f"{count:,} {name}" for name, count in counts.items() if count)
    return f"{change.state.value}: {told}" if told else change.state.value


def _list_names(names: Iterable[str]) -> Line:
    line: list[Inline] = []
    for name in names:
        line += [Text(", "), Code(name)] if line else [Code(name)]
    return tuple(line)


def _fold_stale(comparison: Comparison) -> list[Block]:
    if not comparison.stale:
        return []
    rows = tuple(
        ((Code(stage.address),), _list_names(stage.because), _list_names(stage.edited)) for stage in comparison.stale
    )
    titles = ("stage", "changed since it ran", "not what it made")
    table = Table(columns=tuple(Column(title=(Text(title),)) for title in titles), rows=rows)
    return [Folded(summary=(Text(f"Stale: {_count(len(rows), 'stage')}"),), blocks=(table,))]


def _fold_problems(comparison: Comparison) -> list[Block]:
    if not comparison.problems:
        return []
    rows = tuple(
        (
            (Text("baseline" if sided.side is Side.BASE else "candidate"),),
            (Code(sided.problem.path),),
            (Text(sided.problem.message),),
            (Text(sided.problem.hint),),
        )
        for sided in comparison.problems
    )
    columns = tuple(Column(title=(Text(title),)) for title in ("side", "file", "problem", "what mends it"))
    summary = (Text(f"Not read: {_count(len(rows), 'file')}"),)
    return [Folded(summary=summary, blocks=(Table(columns=columns, rows=rows),))]


def _tell_origin(comparison: Comparison, telling: Telling) -> Line:
    """Where the numbers come from: the small print."""
    revisions = comparison.range
    parts = [f"baseline: {revisions.reason}"]
    if revisions.older:
        parts.append(f"{_count(revisions.older, 'commit')} older, the nearest that holds metrics")
    if revisions.moved:
        name = revisions.base.name if revisions.base else "the base branch"
        parts.append(f"{name} has moved {_count(revisions.moved, 'commit')} since")
    parts.append(_tell_intervals(comparison.metrics))
    parts.append(f"policy: {telling.policy_source or 'none (no seatrial.yaml)'}")
    parts += telling.notes
    line: list[Inline] = [Text(" · ".join(part for part in parts if part))]
    if telling.run_url:
        line += [Text(" · "), Link("run", telling.run_url)]
    return tuple(line)


def _tell_intervals(metrics: Iterable[Change]) -> str:
    sizes = {change.interval.n for change in metrics if change.interval}
    if not sizes:
        return ""
    spelled = _join([f"{size:,}" for size in sorted(sizes)])
    return f"intervals: paired on n = {spelled} samples; they cover this test set, not retraining"


def _tally(changes: Iterable[Change]) -> str:
    """Count by effect: `2 worse, 3 better, 1 added`."""
    words: dict[str, int] = {}
    for change in changes:
        told = change.effect.value if change.state in {State.CHANGED, State.UNCHANGED} else change.state.value
        word = "unchanged" if told == "same" else told
        words[word] = words.get(word, 0) + 1
    order = ("worse", "better", "changed")
    ranked = sorted(words, key=lambda word: (order.index(word) if word in order else len(order), word))
    return ", ".join(f"{words[word]} {word}" for word in ranked)


def _gather(stages: Iterable[str]) -> list[str]:
    """Stages by name, those of one `foreach` or `matrix` counted: `evaluate ×4`."""
    names: dict[str, list[str]] = {}
    for stage in stages:
        names.setdefault(stage.partition("@")[0], []).append(stage)
    return [group[0] if len(group) == 1 else f"{name} ×{len(group)}" for name, group in names.items()]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number:,} {noun}s"


def _join(names: list[str], most: int = 4) -> str:
    if len(names) <= most:
        return ", ".join(names)
    return f"{', '.join(names[:most])} and {len(names) - most} more"
