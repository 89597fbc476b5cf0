"""What the gates of a policy can tell on this evaluation set, before any change is judged by them.

A candidate that is truly as good as the baseline is measured with Δ ~ N(0, SE²), and its interval is Δ ± r. From that
follow the share of such harmless changes that a gate would stop, and the smallest true change that it sees with the
power 1 − β: r + z₁₋β·SE, which is (z₁₋α/₂ + z₁₋β)·SE where r is normal. Of a metric's own value the same holds about
the baseline's value.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from decimal import Decimal
from statistics import NormalDist

from msgspec import Struct

from seatrial.core.comparison import Change
from seatrial.core.document import Align, Code, Column, Document, Footnote, Line, Mark, Paragraph, Table, Text
from seatrial.core.evidence import EvaluationResult, Evidence, scale_samples
from seatrial.core.evidence_rules import AnyEvidenceRule, Bound, Correction, EvidenceRule, spell_bound, spell_limit
from seatrial.core.metrics import Direction, MetricId, State, is_finite
from seatrial.core.naming import label_metrics
from seatrial.core.phrases import NO_BREAK, arrow, count
from seatrial.core.verdict import Margin

_NORMAL = NormalDist()
_Z = _NORMAL.inv_cdf(0.975)
_POWER = _NORMAL.inv_cdf(0.8)
# An equal model proves itself within the margin this often if the margin is the detectable change.
_ENOUGH = 0.2


class Prospect(Struct, frozen=True, kw_only=True):
    """What one demand of one gate can tell.

    `detectable` is the smallest true change that `n` samples show in 4 of 5 cases; `blocks` the share of harmless
    changes that the gate stops; `enough` how many samples would bring that down to 1 in 5. `assumed` where two models
    answered alike, or there is one alone, and the spread of the difference is guessed from the candidate's own.
    `reason` says why nothing can be told.
    """

    change: Change
    check: str
    limit: str
    n: int
    detectable: float | None = None
    blocks: float | None = None
    enough: int | None = None
    assumed: bool = False
    reason: str = ""

    @property
    def id(self) -> MetricId:
        """What the demand is on."""
        return self.change.id

    @property
    def is_weak(self) -> bool:
        """Whether the demand stops more than 1 in 5 harmless changes although it is not meant to stop them."""
        return self.blocks is not None and self.blocks > _ENOUGH and self.check != "better_by"


class _Spread(Struct, frozen=True, kw_only=True):
    """How a difference varies: its standard error, how far its interval reaches, and whether both are assumed."""

    se: float
    reach: float
    assumed: bool = False


def foresee(
    rules: Iterable[AnyEvidenceRule], results: Iterable[EvaluationResult], *, correlation: float = 0.9
) -> tuple[Prospect, ...]:
    """The prospects of every demand that rests on evidence, in the order of the policy.

    Where two models answered alike, the difference's spread is taken as that of two models whose errors have this
    `correlation`: SE·√(2(1 − correlation)), SE being that of the candidate's own value. Limits on newly wrong samples,
    on groups and on the use of the evaluation set are not foreseen.
    """
    by_name = {result.name: result for result in results}
    return tuple(
        prospect
        for rule in rules
        if isinstance(rule, EvidenceRule) and (result := by_name.get(rule.evaluation)) and result.problem is None
        for prospect in _foresee(rule, result, correlation)
    )


def _foresee(rule: EvidenceRule, result: EvaluationResult, correlation: float) -> Iterator[Prospect]:
    among = result.slices if rule.sliced else result.overall
    found = [each for each in among if each.change.id.key[-1] == rule.metric]
    if not found:
        found = [_stand_in(rule, result)]
    slices = [each for each in found if _spread(each, correlation)] if rule.sliced else []
    for evidence in _pick(slices) or found[:1]:
        spread = _spread(evidence, correlation)
        for check, margin in rule.margins.items():
            yield _weigh(rule, evidence, check, margin, spread, slices=len(slices))
        for check, edge in rule.bounds.items():
            yield _weigh_bound(rule, evidence, check, edge, spread)


def _pick(slices: list[Evidence]) -> list[Evidence]:
    """The smallest, the middle and the largest: what one gate tells of each differs by an order of magnitude."""
    ranked = sorted(slices, key=lambda each: each.n)
    places = sorted({0, len(ranked) // 2, len(ranked) - 1}) if ranked else []
    return [ranked[place] for place in places]


def _stand_in(rule: EvidenceRule, result: EvaluationResult) -> Evidence:
    """A gate that speaks of nothing is told as well."""
    reason = f"no slice has {result.min_n:,} samples" if rule.sliced else "the predictions do not determine this metric"
    identity = MetricId(file=result.name, key=(rule.metric,), slice="slices" if rule.sliced else "")
    change = Change(id=identity, state=State.MISSING, direction=rule.direction)
    return Evidence(change=change, n=result.n_head or 0, reason=reason)


def _spread(evidence: Evidence, correlation: float) -> _Spread | None:
    """How the difference varies; None where nothing tells."""
    interval = evidence.change.interval
    if evidence.se and interval:
        return _Spread(se=evidence.se, reach=(interval.high - interval.low) / 2)
    own = _own_reach(evidence)
    if own is None:
        return None
    reach = (own[0] + own[1]) / 2 * math.sqrt(2 * (1 - correlation))
    return _Spread(se=reach / _Z, reach=reach, assumed=True) if reach else None


def _own_reach(evidence: Evidence) -> tuple[float, float] | None:
    """How far the candidate's own interval reaches below and above its value."""
    value = evidence.change.head
    if evidence.own is None or not all(map(math.isfinite, evidence.own)) or not isinstance(value, (int, float)):
        return None
    return value - evidence.own[0], evidence.own[1] - value


def _centre(evidence: Evidence) -> float:
    """The value that an equal candidate has: the baseline's, or the only one that there is."""
    change = evidence.change
    value = change.base if change.base is not None else change.head
    return float(value) if value is not None and is_finite(value) else 0.0


def _weigh(
    rule: EvidenceRule, evidence: Evidence, check: str, margin: Margin, spread: _Spread | None, *, slices: int
) -> Prospect:
    limit = spell_limit(check, margin, rule.direction)
    if spread is None:
        return _give_up(evidence, check, limit)
    amount = float(margin.resolve(Decimal(str(_centre(evidence)))))
    proof = (
        _proof_in_slices(rule, spread, amount, slices) if slices and check == "not_harmed" else amount + spread.reach
    )
    seen = {"not_harmed": proof, "better_by": proof, "at_most_better_by": amount}.get(check, spread.reach)
    detectable = seen + _POWER * spread.se
    needs = check == "no_worse_than" and amount > 0 and bool(evidence.unit)
    return Prospect(
        change=evidence.change,
        check=check,
        limit=limit,
        n=evidence.n,
        detectable=detectable,
        blocks=_share_blocked(check, amount, proof, spread),
        enough=math.ceil(scale_samples(evidence.n, detectable, amount)) if needs else None,
        assumed=spread.assumed,
    )


def _proof_in_slices(rule: EvidenceRule, spread: _Spread, amount: float, slices: int) -> float:
    """The harm from which on a slice blocks: beyond the margin, and proven though it is one of so many."""
    tests = 1 if rule.correction is Correction.NONE else slices
    return max(amount, _NORMAL.inv_cdf(1 - rule.q / tests) * spread.se)


def _share_blocked(check: str, margin: float, proof: float, spread: _Spread) -> float:
    """The share of equal candidates that a demand stops."""
    match check:
        case "no_worse_than":
            return 1 - _NORMAL.cdf((margin - spread.reach) / spread.se)
        case "not_harmed":
            return _NORMAL.cdf(-proof / spread.se)
        case "better_by":
            return _NORMAL.cdf(proof / spread.se)
        case _:
            return _NORMAL.cdf(-margin / spread.se)


def _weigh_bound(rule: EvidenceRule, evidence: Evidence, check: str, edge: Decimal, spread: _Spread | None) -> Prospect:
    """A floor or ceiling: an equal candidate's value varies about the baseline's as their difference does."""
    limit, own = spell_bound(check, edge, rule.bound), _own_reach(evidence)
    if spread is None or own is None:
        return _give_up(evidence, check, limit)
    floor = check == "at_least"
    kept = 0.0 if rule.bound is Bound.POINT else own[0] if floor else own[1]
    room = (_centre(evidence) - float(edge)) * (1 if floor else -1) - kept
    return Prospect(
        change=evidence.change,
        check=check,
        limit=limit,
        n=evidence.n,
        blocks=_NORMAL.cdf(-room / spread.se),
        assumed=spread.assumed,
    )


def _give_up(evidence: Evidence, check: str, limit: str) -> Prospect:
    reason = evidence.reason or "both sides are the same, which tells no spread"
    return Prospect(change=evidence.change, check=check, limit=limit, n=evidence.n, reason=reason)


def write_plan(prospects: tuple[Prospect, ...], *, correlation: float) -> Document:
    """The plan as a reader meets it."""
    if not prospects:
        line: Line = (Text("Add `evaluations:` with gates to seatrial.yaml: what they can tell is planned from them."),)
        title = (Text("Nothing to plan: no gate rests on predictions"),)
        return Document(mark=Mark.NEUTRAL, title=title, blocks=(Paragraph(line=line),))
    labels = label_metrics([prospect.id for prospect in prospects])
    columns = (
        Column(title=(Text("gate"),)),
        Column(title=(Text("demand"),)),
        Column(title=(Text("samples"),), align=Align.RIGHT),
        Column(title=(Text("sees from"),), align=Align.RIGHT),
        Column(title=(Text("stops"),), align=Align.RIGHT),
        Column(title=(Text("enough"),), align=Align.RIGHT),
    )
    rows = tuple(_row(prospect, labels[prospect.id]) for prospect in prospects)
    weak = any(prospect.is_weak for prospect in prospects)
    known = any(prospect.blocks is not None for prospect in prospects)
    return Document(
        mark=Mark.WARNED if weak else Mark.PASSED if known else Mark.NEUTRAL,
        title=(Text(_title(prospects)),),
        blocks=(
            Table(columns=columns, rows=rows, keep=len(rows)),
            *(Paragraph(line=(Text(note),)) for note in _list_unknown(prospects)),
            Footnote(line=(Text(_explain(prospects, correlation)),)),
        ),
    )


def _title(prospects: tuple[Prospect, ...]) -> str:
    weak = sum(prospect.is_weak for prospect in prospects)
    unknown = sum(prospect.blocks is None for prospect in prospects)
    tail = f", {unknown:,} can't be foreseen" if unknown else ""
    demands = count(len(prospects), "demand")
    if unknown == len(prospects):
        return f"{demands}: none can be foreseen"
    verb = "stops" if weak == 1 else "stop"
    return f"{demands}: {f'{weak:,} {verb}' if weak else 'none stops'} more than 1 in 5 harmless changes{tail}"


def _list_unknown(prospects: tuple[Prospect, ...]) -> Iterator[str]:
    """What can't be foreseen, with the reason."""
    reasons: dict[str, dict[str, None]] = {}
    for prospect in prospects:
        if prospect.reason:
            reasons.setdefault(prospect.reason, {})[prospect.id.dotted] = None
    return (f"{', '.join(names)}: {reason}" for reason, names in reasons.items())


def _explain(prospects: tuple[Prospect, ...], correlation: float) -> str:
    parts = [
        "sees from: the smallest true change that it tells in 4 of 5 cases",
        "stops: the share of candidates exactly as good as the baseline that it would not let pass",
    ]
    if any(prospect.enough for prospect in prospects):
        parts.append("enough: the samples at which it stops 1 in 5 of them")
    if any(prospect.assumed for prospect in prospects):
        parts.append(f"*: no two models differ here; errors of another are assumed to correlate by {correlation:g}")
    return " · ".join(parts)


def _row(prospect: Prospect, label: str) -> tuple[Line, ...]:
    return (
        (Code(label), Text(arrow(prospect.change))),
        (Text(prospect.check), Text(f"{NO_BREAK}{prospect.limit}")),
        (Text(f"{prospect.n:,}"),),
        (Text(_spell_detectable(prospect)),),
        (Text(_spell_share(prospect.blocks) + ("*" if prospect.assumed else "")),),
        (Text(f"{prospect.enough:,}" if prospect.enough else ""),),
    )


def _spell_detectable(prospect: Prospect) -> str:
    if prospect.detectable is None:
        return ""
    better = prospect.check in {"better_by", "at_most_better_by"}
    rises = (prospect.change.direction is Direction.HIGHER) == better
    amount = f"{prospect.detectable:.2g}"  # an estimate of a spread has no more digits than that
    return f"{'+' if rises else '−'}{amount}{'*' if prospect.assumed else ''}"


def _spell_share(share: float | None) -> str:
    if share is None:
        return "?"
    if share < 0.001:
        return "< 0.1 %"
    if share > 0.999:
        return "> 99.9 %"
    return f"{share * 100:.1f} %" if share < 0.1 or share > 0.99 else f"{share * 100:.0f} %"
