"""The document that people read: the verdict and what to do next first, everything else folded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from msgspec import Struct

from seatrial.core.comparison import Change, Comparison, Effect, Side
from seatrial.core.data_wording import fold_tables
from seatrial.core.document import (
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
    Strong,
    Table,
    Text,
)
from seatrial.core.evidence_wording import fold_evidence, tell_evaluation_sets
from seatrial.core.metrics import MetricId, State
from seatrial.core.naming import label_metrics
from seatrial.core.numbers import Spelling, spell_as_written, spell_change
from seatrial.core.phrases import count, end_sentence, gather_stages, join_names, list_names, tally
from seatrial.core.policy import Policy
from seatrial.core.tables import table_changes, table_gates, table_pipeline, table_remedies
from seatrial.core.verdict import Finding, Gate, Outcome, Status, Verdict

if TYPE_CHECKING:
    from seatrial.core.annotations import Lines
    from seatrial.core.plots import Plots
    from seatrial.core.trend import Trend


class Telling(Struct, frozen=True, kw_only=True):
    """What the report should say beside the numbers, and how much of them.

    `show_all` lists unchanged values too; `precision` is a fixed number of decimals; `policy_source` names
    the policy and where it came from; `notices` stand above everything, `notes` are remarks for the small print;
    `pipeline` is its drawing; `trends` are those of gated metrics on the baseline's branch; `plots` are None where no
    format shows them. `find_lines` reads where things stand in the candidate's files, once somebody asks.
    """

    show_all: bool = False
    precision: int | None = None
    policy_source: str | None = None
    run_url: str | None = None
    notices: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    pipeline: Diagram | None = None
    trends: tuple[Trend, ...] = ()
    plots: Plots | None = None
    find_lines: Callable[[], Lines] | None = None


def headline(comparison: Comparison, verdict: Verdict, policy: Policy) -> str:
    """The verdict as one sentence."""
    outcomes = [gate.worst.outcome for gate in verdict.gates]
    failed, undecided = outcomes.count(Outcome.FAILED), outcomes.count(Outcome.INCONCLUSIVE)
    warned = outcomes.count(Outcome.WARNED) + undecided
    total, judged = len(outcomes), len(outcomes) - outcomes.count(Outcome.NOT_JUDGED)
    base = comparison.range.base
    if verdict.status is Status.FAILED:
        return f"Do not merge: {failed} of {count(total, 'gate')} failed"
    if verdict.status is Status.INCONCLUSIVE:
        return f"Can't tell: {undecided} of {count(total, 'gate')} can't be judged"
    if verdict.status is Status.WARNED:
        return f"Merge with care: {warned} of {count(total, 'gate')} to look at"
    if not comparison.metrics and not outcomes:
        return "No metrics: neither side declares any"
    if base is None:
        rest = f"{count(judged, 'absolute gate')} passed" if judged else "nothing was judged"
        return f"First measurement: no baseline to compare with, {rest}"
    if comparison.is_unchanged and Outcome.WAIVED not in outcomes:
        return f"No change: metrics are those of {base}"
    if not policy.gates:
        return f"Compared, not judged: no gates are set ({tally(comparison.metrics)})"
    if not judged:
        return f"First measurement: the baseline has nothing for {count(total, 'gate')} to compare with"
    waived = outcomes.count(Outcome.WAIVED)
    told = {"waived": waived, "noted": outcomes.count(Outcome.NOTED), "not judged": undecided}
    tail = "".join(f", {number} {word}" for word, number in told.items() if number)
    return f"Ready to merge: {count(outcomes.count(Outcome.PASSED), 'gate')} passed{tail}"


def write_document(comparison: Comparison, verdict: Verdict, policy: Policy, telling: Telling) -> Document:
    """Lay the report out; its order is the order of a reviewer's questions."""
    labels = label_metrics(
        [*(finding.id for finding in verdict.findings), *(change.id for change in comparison.metrics)]
    )
    gates = verdict.gates
    blocks: list[Block] = [
        *(Paragraph(line=(Text(notice),)) for notice in telling.notices),
        *_tell_reason(gates, comparison, labels, telling),
        *table_gates(gates, comparison.range, labels, partial(spell_change, precision=telling.precision)),
        *fold_evidence(comparison.evaluations, {finding.id for finding in verdict.findings}, telling.precision),
        *_fold_metrics(comparison, {finding.id for finding in verdict.findings}, labels, telling),
        *_fold_params(comparison, telling),
        *fold_tables(comparison.tables),
        *_fold_pipeline(comparison, telling.pipeline),
        *_fold_plots(comparison, telling),
        *_fold_trends(comparison, labels, telling),
        *_fold_stale(comparison),
        *_fold_problems(comparison),
        *_fold_remedies(comparison, verdict, labels),
        Footnote(line=_tell_origin(comparison, telling, _list_idle(policy, verdict))),
    ]
    return Document(
        mark=_choose_mark(comparison, verdict, policy),
        title=(Text(headline(comparison, verdict, policy)),),
        blocks=tuple(blocks),
    )


def _choose_mark(comparison: Comparison, verdict: Verdict, policy: Policy) -> Mark:
    if verdict.status is not Status.PASSED:
        return Mark(verdict.status.value)
    silent = not policy.gates and not comparison.is_unchanged
    return Mark.NEUTRAL if comparison.is_first or silent else Mark.PASSED


def _tell_reason(
    gates: tuple[Gate, ...], comparison: Comparison, labels: Mapping[MetricId, str], telling: Telling
) -> list[Block]:
    """The numbers that decided, and the next step."""
    if not gates or gates[0].worst.outcome in {Outcome.NOTED, Outcome.NOT_JUDGED, Outcome.PASSED}:
        return []
    worst = gates[0].worst
    label = worst.change.id.dotted if worst.check == "slices" and worst.change else labels[worst.id]
    told = tell_deciding(worst, label, telling.precision)
    if worst.outcome is Outcome.WAIVED:
        return [Paragraph(line=(Strong(told), Text(f". {worst.reason[:1].upper()}{worst.reason[1:]}.")))]
    return [Paragraph(line=(Strong(told), Text(". "), *_tell_next_step(worst, comparison)))]


def tell_deciding(worst: Finding, label: str, precision: int | None = None) -> str:
    """The numbers of the worst finding, or why it has none."""
    change = worst.change
    if change is None or worst.check in {"present", "readable", "reproducible", "fresh"}:
        return f"{label}: {worst.reason}"
    spelled = spell_change(change, precision=precision)
    if change.delta:
        return f"{label} {_tell_change(spelled, change)}, limit {worst.limit}"
    if change.head is not None:
        why = f" ({worst.reason})" if worst.outcome is Outcome.INCONCLUSIVE and worst.reason else ""
        return f"{label} {spelled.head}, limit {worst.limit}{why}"
    return f"{label}: {worst.reason}"


def _tell_change(spelled: Spelling, change: Change) -> str:
    return f"{spelled.base} → {spelled.head} ({_tell_delta(spelled, change)})"


def _tell_delta(spelled: Spelling, change: Change) -> str:
    if not spelled.interval or change.interval is None:
        return spelled.delta
    return f"{spelled.delta}, {change.interval.level * 100:.0f} % CI {spelled.interval}"


def _tell_next_step(worst: Finding, comparison: Comparison) -> Line:
    if worst.hint:
        return (Text(f"Next: {end_sentence(worst.hint)}"),)
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


def _fold_metrics(
    comparison: Comparison, gated: set[MetricId], labels: Mapping[MetricId, str], telling: Telling
) -> list[Block]:
    shown = [
        change
        for change in comparison.metrics
        if telling.show_all or (change.id not in gated and (change.state is not State.UNCHANGED or change.moved_from))
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
            summary=(Text(f"{title}: {tally(shown)}{tail}"),),
            blocks=(table_changes(ranked, comparison.range, labels, spell),),
        )
    ]


def _fold_params(comparison: Comparison, telling: Telling) -> list[Block]:
    shown = [change for change in comparison.params if telling.show_all or change.state is not State.UNCHANGED]
    if not shown or comparison.is_first:
        return []
    labels = label_metrics([change.id for change in shown])
    return [
        Folded(
            summary=(Text(f"Parameters: {tally(shown)}"),),
            blocks=(table_changes(shown, comparison.range, labels, spell_as_written),),
        )
    ]


def _fold_pipeline(comparison: Comparison, drawing: Diagram | None) -> list[Block]:
    if not (comparison.files or comparison.stages):
        return []
    ran = [change.address for change in comparison.stages if change.state is State.CHANGED]
    parts = []
    if comparison.files:
        parts.append("1 file differs" if len(comparison.files) == 1 else f"{len(comparison.files):,} files differ")
    if ran:
        parts.append(f"{join_names(gather_stages(ran))} ran again")
    return [
        Folded(
            summary=(Text(f"Data and pipeline: {'; '.join(parts) or 'stages were added or removed'}"),),
            blocks=(*([drawing] if drawing else []), *table_pipeline(comparison)),
        )
    ]


def _fold_plots(comparison: Comparison, telling: Telling) -> list[Block]:
    if telling.plots is None:
        return []
    from seatrial.core.plots_wording import fold_plots

    return fold_plots(telling.plots, comparison.range)


def _fold_trends(comparison: Comparison, labels: Mapping[MetricId, str], telling: Telling) -> list[Block]:
    if not telling.trends:
        return []
    from seatrial.core.trend import fold_trends

    return fold_trends(telling.trends, labels, comparison.range)


def _fold_stale(comparison: Comparison) -> list[Block]:
    if not comparison.stale:
        return []
    rows = tuple(
        ((Code(stage.address),), list_names(stage.because), list_names(stage.edited)) for stage in comparison.stale
    )
    titles = ("stage", "changed since it ran", "not what it made")
    table = Table(columns=tuple(Column(title=(Text(title),)) for title in titles), rows=rows)
    return [Folded(summary=(Text(f"Stale: {count(len(rows), 'stage')}"),), blocks=(table,))]


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
    summary = (Text(f"Not read: {count(len(rows), 'file')}"),)
    return [Folded(summary=summary, blocks=(Table(columns=columns, rows=rows),))]


def _fold_remedies(comparison: Comparison, verdict: Verdict, labels: Mapping[MetricId, str]) -> list[Block]:
    """Every remedy once, with all that it mends; nothing where the first lines have told it already."""
    remedies: dict[str, dict[str, None]] = {}
    judged = [(gate.worst.hint, gate.worst.id) for gate in verdict.gates]
    for hint, identity in (*judged, *((change.hint, change.id) for change in comparison.metrics)):
        if hint:
            remedies.setdefault(hint, {})[labels[identity]] = None
    told = verdict.gates[0].worst.hint if verdict.gates else ""
    if not remedies.keys() - {told}:
        return []
    named = {hint: list(names) for hint, names in remedies.items()}
    return [Folded(summary=(Text("What mends it"),), blocks=(table_remedies(named),))]


def _list_idle(policy: Policy, verdict: Verdict) -> list[str]:
    """Waivers that name no gate: misspelled, or left over; nobody knows where gates could not be judged at all."""
    if any(finding.check == "readable" for finding in verdict.findings):
        return []
    ids = {finding.id for finding in verdict.findings}
    idle = [waiver for waiver in policy.waivers if not any(waiver.names(identity) for identity in ids)]
    return [f"no gate is called {waiver.gate}, which {waiver.place} waives" for waiver in idle]


def _tell_origin(comparison: Comparison, telling: Telling, idle: list[str]) -> Line:
    """Where the numbers come from: the small print."""
    revisions = comparison.range
    parts = [f"baseline: {revisions.reason}"]
    if revisions.older:
        parts.append(f"{count(revisions.older, 'commit')} older, the nearest that holds metrics")
    if revisions.moved:
        name = revisions.base.name if revisions.base else "the base branch"
        parts.append(f"{name} has moved {count(revisions.moved, 'commit')} since")
    parts.append(_tell_intervals(comparison))
    parts += tell_evaluation_sets(comparison.evaluations)
    parts.append(f"policy: {telling.policy_source or 'none (no seatrial.yaml)'}")
    parts += (*idle, *telling.notes)
    line: list[Inline] = [Text(" · ".join(part for part in parts if part))]
    if telling.run_url:
        line += [Text(" · "), Link("run", telling.run_url)]
    return tuple(line)


def _tell_intervals(comparison: Comparison) -> str:
    measured = [
        each.change for result in comparison.evaluations if result.n_common is not None for each in result.overall
    ]
    sizes = {change.interval.n for change in (*comparison.metrics, *measured) if change.interval}
    if not sizes:
        return ""
    spelled = join_names([f"{size:,}" for size in sorted(sizes)])
    methods = {change.interval.method for change in (*comparison.metrics, *measured) if change.interval}
    how = "unpaired" if all(method.startswith("unpaired") for method in methods) else "paired"
    return f"intervals: {how} on n = {spelled} samples; they cover this test set, not retraining"
