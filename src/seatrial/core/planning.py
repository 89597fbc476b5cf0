"""What the gates of a policy can tell on this evaluation set, before any change is judged by them.

With the standard error SE of a difference, a gate of the two-sided level 1 − α and an equal candidate (Δ = 0), the
normal approximation gives the share of harmless changes that it would stop, and the smallest change that it sees with
the power 1 − β: (z₁₋α/₂ + z₁₋β)·SE.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from decimal import Decimal
from statistics import NormalDist

from msgspec import Struct

from seatrial.core.comparison import Change
from seatrial.core.document import Align, Code, Column, Document, Footnote, Line, Mark, Paragraph, Table, Text
from seatrial.core.evidence import EvaluationResult, Evidence
from seatrial.core.evidence_rules import EvidenceRule, spell_limit
from seatrial.core.metrics import Direction, MetricId
from seatrial.core.naming import label_metrics
from seatrial.core.phrases import arrow, count

_NORMAL = NormalDist()
_Z = _NORMAL.inv_cdf(0.975)
_POWER = _NORMAL.inv_cdf(0.8)
# An equal model proves itself within the margin this often if the margin is the detectable change.
_ENOUGH = 0.2


class Prospect(Struct, frozen=True, kw_only=True):
    """What one demand of one gate can tell.

    `detectable` is the smallest true change that `n` samples show in 4 of 5 cases; `blocks` the share of harmless
    changes that the gate stops; `enough` how many samples would bring that down to 1 in 5. `assumed` where the two
    models answered alike, and the spread of the difference is guessed from the candidate's own.
    """

    id: MetricId
    change: Change
    check: str
    limit: str
    n: int
    detectable: float | None = None
    blocks: float | None = None
    enough: int | None = None
    assumed: bool = False
    reason: str = ""


def foresee(
    rules: Iterable[object], results: Iterable[EvaluationResult], *, correlation: float = 0.9
) -> tuple[Prospect, ...]:
    """The prospects of every demand that rests on evidence, in the order of the policy.

    Where two models answered alike, the difference's spread is taken as that of two models whose errors have this
    `correlation`: SE·√(2(1 − correlation)), SE being that of the candidate's own value.
    """
    by_name = {result.name: result for result in results}
    return tuple(
        prospect
        for rule in rules
        if isinstance(rule, EvidenceRule) and (result := by_name.get(rule.evaluation)) and result.problem is None
        for prospect in _foresee(rule, result, correlation)
    )


def _foresee(rule: EvidenceRule, result: EvaluationResult, correlation: float) -> Iterator[Prospect]:
    if rule.sliced:
        yield from _foresee_slices(rule, result, correlation)
        return
    for evidence in result.overall:
        if evidence.change.id.key[-1] == rule.metric:
            for check, margin in rule.margins.items():
                amount = float(margin.resolve(Decimal(str(evidence.change.head or 0))))
                limit = spell_limit(check, margin, rule.direction)
                yield _weigh(evidence, check, limit, amount, correlation)
            for check, edge in rule.bounds.items():
                yield _weigh_bound(evidence, check, edge)


def _spread(evidence: Evidence, correlation: float) -> tuple[float | None, bool]:
    """The standard error of the difference, and whether it is assumed."""
    if evidence.detectable:
        return evidence.detectable / (_Z + _POWER), False
    own = _own_spread(evidence)
    return (None if own is None else own * math.sqrt(2 * (1 - correlation))), True


def _own_spread(evidence: Evidence) -> float | None:
    if evidence.own is None or not all(map(math.isfinite, evidence.own)):
        return None
    return (evidence.own[1] - evidence.own[0]) / (2 * _Z)


def _weigh(evidence: Evidence, check: str, limit: str, margin: float, correlation: float) -> Prospect:
    se, assumed = _spread(evidence, correlation)
    change = evidence.change
    if not se:
        reason = evidence.reason or "the two models answered alike, and nothing tells how much they could differ"
        return Prospect(id=change.id, change=change, check=check, limit=limit, n=evidence.n, reason=reason)
    detectable = (_Z + _POWER) * se
    needs = check == "no_worse_than" and margin > 0
    return Prospect(
        id=change.id,
        change=change,
        check=check,
        limit=limit,
        n=evidence.n,
        detectable=detectable,
        blocks=_share_blocked(check, margin / se),
        enough=math.ceil(evidence.n * (detectable / margin) ** 2) if needs else None,
        assumed=assumed,
    )


def _share_blocked(check: str, margin: float) -> float:
    """The share of equal candidates that a demand stops; `margin` is in standard errors."""
    match check:
        case "no_worse_than":
            return 1 - _NORMAL.cdf(margin - _Z)
        case "not_harmed":
            return _NORMAL.cdf(-margin - _Z)
        case "better_by":
            return _NORMAL.cdf(margin + _Z)
        case _:
            return _NORMAL.cdf(-margin)


def _weigh_bound(evidence: Evidence, check: str, edge: Decimal) -> Prospect:
    """A floor or ceiling, for a candidate that is as good as this one."""
    change, own = evidence.change, _own_spread(evidence)
    limit = f"{'≥' if check == 'at_least' else '≤'} {edge:f}"
    if not own or not isinstance(change.head, (int, float)):
        return Prospect(id=change.id, change=change, check=check, limit=limit, n=evidence.n, reason="no interval")
    room = (change.head - float(edge)) * (1 if check == "at_least" else -1)
    return Prospect(
        id=change.id,
        change=change,
        check=check,
        limit=limit,
        n=evidence.n,
        detectable=(_Z + _POWER) * own,
        blocks=1 - _NORMAL.cdf(room / own - _Z),
    )


def _foresee_slices(rule: EvidenceRule, result: EvaluationResult, correlation: float) -> Iterator[Prospect]:
    """The smallest, the middle and the largest slice: what one gate tells of each differs by an order of magnitude."""
    slices = [each for each in result.slices if each.change.id.key[-1] == rule.metric and _spread(each, correlation)[0]]
    ranked = sorted(slices, key=lambda each: each.n)
    for position in sorted({0, len(ranked) // 2, len(ranked) - 1} & set(range(len(ranked)))):
        evidence = ranked[position]
        for check, margin in rule.margins.items():
            amount = float(margin.resolve(Decimal(str(evidence.change.head or 0))))
            limit = spell_limit(check, margin, rule.direction)
            yield _weigh(evidence, check, limit, amount, correlation)


def write_plan(prospects: tuple[Prospect, ...], *, correlation: float) -> Document:
    """The plan as a reader meets it."""
    labels = label_metrics([prospect.id for prospect in prospects])
    if not prospects:
        line: Line = (Text("Add `evaluations:` with gates to seatrial.yaml: what they can tell is planned from them."),)
        title = (Text("Nothing to plan: no gate rests on predictions"),)
        return Document(mark=Mark.NEUTRAL, title=title, blocks=(Paragraph(line=line),))
    weak = [prospect for prospect in prospects if _is_weak(prospect)]
    title_text = f"{count(len(prospects), 'demand')}: " + (
        f"{len(weak)} would stop more than 1 in 5 harmless changes" if weak else "all can be met by an equal model"
    )
    columns = (
        Column(title=(Text("gate"),)),
        Column(title=(Text("limit"),), align=Align.RIGHT),
        Column(title=(Text("samples"),), align=Align.RIGHT),
        Column(title=(Text("change it can see"),), align=Align.RIGHT),
        Column(title=(Text("harmless changes stopped"),), align=Align.RIGHT),
        Column(title=(Text("samples that would do"),), align=Align.RIGHT),
        Column(title=()),
    )
    rows = tuple(_row(prospect, labels[prospect.id]) for prospect in prospects)
    notes = "at 95 % and a power of 80 %, for a candidate that is exactly as good as the baseline"
    if any(prospect.assumed for prospect in prospects):
        notes += f" · *: the models answered alike; errors of another model assumed to correlate by {correlation:g}"
    return Document(
        mark=Mark.WARNED if weak else Mark.PASSED,
        title=(Text(title_text),),
        blocks=(Table(columns=columns, rows=rows, keep=len(rows)), Footnote(line=(Text(notes),))),
    )


def _is_weak(prospect: Prospect) -> bool:
    return prospect.blocks is not None and prospect.blocks > _ENOUGH and prospect.check != "better_by"


def _row(prospect: Prospect, label: str) -> tuple[Line, ...]:
    star = "*" if prospect.assumed and prospect.detectable is not None else ""
    return (
        (Code(label), Text(arrow(prospect.change))),
        (Text(prospect.limit),),
        (Text(f"{prospect.n:,}"),),
        (Text(_spell_detectable(prospect) + star),),
        (Text(_spell_share(prospect.blocks)),),
        (Text(f"{prospect.enough:,}" if prospect.enough else ""),),
        (Text(prospect.reason),),
    )


def _spell_detectable(prospect: Prospect) -> str:
    if prospect.detectable is None:
        return ""
    sign = "−" if prospect.change.direction is Direction.HIGHER else "+"
    return f"{sign}{prospect.detectable:.2g}"  # an estimate of a spread has no more digits than that


def _spell_share(share: float | None) -> str:
    if share is None:
        return ""
    if share < 0.001:
        return "< 0.1 %"
    return f"{share * 100:.1f} %" if share < 0.1 else f"{share * 100:.0f} %"
