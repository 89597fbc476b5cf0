"""What the report says of evidence beside the gates: slices, groups, what the model newly gets wrong."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable

from seatrial.core.document import Align, Block, Code, Column, Folded, Line, Paragraph, Table, Text
from seatrial.core.evidence import EvaluationResult, Evidence, Flips, Gap
from seatrial.core.metrics import Direction, MetricId
from seatrial.core.numbers import spell_change
from seatrial.core.phrases import arrow, cell_delta, count, list_names, word_effect
from seatrial.core.tables import drop_columns

_MOST_SLICES = 20


def fold_evidence(
    results: Iterable[EvaluationResult], gated: Collection[MetricId], precision: int | None
) -> list[Block]:
    """One folded part for each thing that an evaluation tells and the gates do not."""
    blocks: list[Block] = []
    for result in results:
        blocks += _fold_others(result, gated, precision)
        for metric in dict.fromkeys(each.change.id.key[-1] for each in result.slices):
            slices = [each for each in result.slices if each.change.id.key[-1] == metric]
            blocks.append(_fold_slices(result, metric, slices, precision))
        blocks += _fold_gaps(result, precision)
        blocks += _fold_flips(result.flips) if result.flips else []
    return blocks


def tell_evaluation_sets(results: Iterable[EvaluationResult]) -> list[str]:
    """For the small print: which evaluation set, how large, and whether both sides have it."""
    told = []
    for result in results:
        if result.digest:
            same = result.n_base == result.n_common == result.n_head and not result.labels_changed
            shared = "the same on both sides" if same else "not the same on both sides"
            told.append(f"evaluation set of {result.name}: sha256:{result.digest[:8]}…, {shared}")
    return told


def _fold_others(result: EvaluationResult, gated: Collection[MetricId], precision: int | None) -> list[Block]:
    """Metrics that no file tells and no gate is about."""
    others = [each for each in result.overall if each.change.id.file == result.name and each.change.id not in gated]
    if not others:
        return []
    rows = tuple(
        ((Code(each.change.id.dotted), Text(arrow(each.change))), *_cells(each, precision), _word(each, result))
        for each in others
    )
    table = _trim(Table(columns=(Column(title=(Text("metric"),)), *_COLUMNS), rows=rows), others)
    summary = (Text(f"Measured on {result.name}: {count(len(others), 'more metric')}"),)
    return [Folded(summary=summary, blocks=(table,))]


_COLUMNS = (
    Column(title=(Text("samples"),), align=Align.RIGHT),
    Column(title=(Text("baseline"),), align=Align.RIGHT),
    Column(title=(Text("candidate"),), align=Align.RIGHT),
    Column(title=(Text("change (95 % CI)"),), align=Align.RIGHT),
    Column(title=()),
)


def _cells(evidence: Evidence, precision: int | None) -> tuple[Line, ...]:
    spelled = spell_change(evidence.change, precision=precision)
    return (
        (Text(f"{evidence.n:,}"),),
        (Text(spelled.base),),
        (Text(spelled.head),),
        (Text(cell_delta(spelled)),),
    )


def _trim(table: Table, told: list[Evidence]) -> Table:
    """Without a baseline, no columns for it and for the change."""
    return table if any(each.change.base is not None for each in told) else drop_columns(table, 2, 4)


def _word(evidence: Evidence, result: EvaluationResult) -> Line:
    if evidence.reason:
        return (Text(evidence.reason),)
    if evidence.change.base is None:
        return ()
    if evidence.p_adjusted is None:
        return (Text(word_effect(evidence.change)),)
    if evidence.is_worse(result.q):
        return (Text("worse"),)
    told = word_effect(evidence.change)
    return (Text("worse alone, not after correction" if told == "worse" else told),)


def _fold_slices(result: EvaluationResult, metric: str, slices: list[Evidence], precision: int | None) -> Folded:
    """Those proven worse first, then the largest effects that noise alone does not explain."""
    proven = [each for each in slices if each.is_worse(result.q)]
    ranked = sorted(proven, key=_harm, reverse=True)
    others = [each for each in slices if not each.is_worse(result.q)]
    ranked += sorted(others, key=_size if any(each.change.interval for each in others) else _badness, reverse=True)
    shown = ranked[:_MOST_SLICES]
    rows = tuple(((Code(each.change.id.slice),), *_cells(each, precision), _word(each, result)) for each in shown)
    table = _trim(Table(columns=(Column(title=(Text("slice"),)), *_COLUMNS), rows=rows), slices)
    tail = _tell_rest(result, len(slices) - len(shown))
    return Folded(
        summary=(Text(f"Slices of {metric}: {_tally(proven, slices, precision)}"),),
        blocks=(table, *([Paragraph(line=(Text(tail),))] if tail else [])),
    )


def _harm(evidence: Evidence) -> float:
    return evidence.harm.point if evidence.harm else 0.0


def _size(evidence: Evidence) -> float:
    return abs(evidence.shrunken or 0.0)


def _badness(evidence: Evidence) -> float:
    """How low the candidate's value is, or how high where lower is better; for a first measurement."""
    value = evidence.change.head
    if not isinstance(value, (int, float)):
        return -math.inf
    return float(value) if evidence.change.direction is Direction.LOWER else -float(value)


def _tally(proven: list[Evidence], slices: list[Evidence], precision: int | None) -> str:
    told = sum(each.change.interval is not None for each in slices)
    if not told:
        compared = any(each.change.base is not None for each in slices)
        return f"{count(len(slices), 'slice')}, {'none can be judged' if compared else 'nothing to compare with yet'}"
    if not proven:
        return f"none of {told:,} proven worse"
    worst = max(proven, key=_harm).change
    delta = spell_change(worst, precision=precision).delta
    return f"{len(proven):,} of {told:,} worse (worst {worst.id.slice} {delta})"


def _tell_rest(result: EvaluationResult, hidden: int) -> str:
    parts = [f"{count(hidden, 'more slice')} with smaller effects"] if hidden else []
    if result.untested:
        parts.append(f"{count(result.untested, 'slice')} with fewer than {result.min_n:,} samples, not tested")
    return f"And {'; '.join(parts)}." if parts else ""


def _fold_gaps(result: EvaluationResult, precision: int | None) -> list[Block]:
    if not result.gaps:
        return []
    rows = tuple(_row_gap(gap, precision) for gap in result.gaps)
    columns = (
        Column(title=(Text("gap of"),)),
        Column(title=(Text("between"),)),
        *_COLUMNS[1:4],
        Column(title=(Text("lowest, highest"),)),
    )
    summary = (Text(f"Gaps between groups: {', '.join(f'{gap.metric} by {gap.by}' for gap in result.gaps)}"),)
    return [Folded(summary=summary, blocks=(Table(columns=columns, rows=rows),))]


def _row_gap(gap: Gap, precision: int | None) -> tuple[Line, ...]:
    spelled = spell_change(gap.change, precision=precision)
    few = f", {gap.left_out:,} too small" if gap.left_out else ""
    between = f"{count(gap.groups, 'group')} of {gap.by}{few}"
    ends = gap.reason or f"{gap.worst}, {gap.best}"
    return (
        (Code(gap.metric),),
        (Text(between),),
        (Text(spelled.base),),
        (Text(spelled.head),),
        (Text(cell_delta(spelled)),),
        (Text(ends),),
    )


def _fold_flips(flips: Flips) -> list[Block]:
    if not flips.newly_wrong and not flips.newly_right:
        return []
    rows = (
        ((Text("newly wrong"),), (Text(f"{flips.newly_wrong:,}"),), _list_keys(flips.wrong_examples)),
        ((Text("newly right"),), (Text(f"{flips.newly_right:,}"),), _list_keys(flips.right_examples)),
    )
    columns = (
        Column(title=(Text("decision"),)),
        Column(title=(Text("samples"),), align=Align.RIGHT),
        Column(title=(Text("for example"),)),
    )
    summary = (
        f"Behaviour: {count(flips.newly_wrong, 'sample')} newly wrong, {flips.newly_right:,} newly right "
        f"({flips.churn * 100:.1f} % of {flips.n:,})"
    )
    return [Folded(summary=(Text(summary),), blocks=(Table(columns=columns, rows=rows),))]


def _list_keys(keys: tuple[str, ...]) -> Line:
    return list_names(keys) if keys else (Text("–"),)
