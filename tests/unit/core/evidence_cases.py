"""A small language for evidence: results of an evaluation from a few numbers."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from seatrial.core.comparison import Change, measure_delta
from seatrial.core.evidence import EvaluationResult, Evidence, Flips, Gap
from seatrial.core.evidence_judging import judge_evidence
from seatrial.core.evidence_rules import AnyEvidenceRule, EvidenceRule
from seatrial.core.metrics import Direction, Interval, MetricId, State
from seatrial.core.verdict import Finding, Margin

Z, POWER = 1.959963984540054, 0.8416212335729143


def absolute(amount: float | str) -> Margin:
    """A margin in the metric's unit."""
    return Margin(amount=Decimal(str(amount)), relative=False)


def share(amount: float | str) -> Margin:
    """A margin as a share of the baseline."""
    return Margin(amount=Decimal(str(amount)), relative=True)


def rule(metric: Any = "recall", direction: Any = Direction.HIGHER, **demands: Any) -> EvidenceRule:
    """A gate of the evaluation `delays`."""
    return EvidenceRule(evaluation="delays", metric=metric, place="seatrial.yaml:9", direction=direction, **demands)


def evidence(
    base: float | None,
    head: float | None,
    ends: tuple[float, float] | None = None,
    *,
    metric: str = "recall",
    direction: Direction = Direction.HIGHER,
    part: str = "",
    n: int = 1000,
    **more: Any,
) -> Evidence:
    """One metric with the interval of its change; what can be told of the detectable change follows from it."""
    interval = None if ends is None else Interval(low=ends[0], high=ends[1], level=0.95, n=n, method="paired, t")
    change = Change(
        id=MetricId(file="delays", key=(metric,), slice=part),
        state=State.UNCHANGED if base == head else State.CHANGED,
        base=base,
        head=head,
        delta=measure_delta(base, head),
        direction=direction,
        interval=interval,
    )
    if ends is not None:
        more.setdefault("detectable", (ends[1] - ends[0]) / 2 / Z * (Z + POWER))
    return Evidence(change=change, n=n, **more)


def result(*overall: Evidence, **more: Any) -> EvaluationResult:
    """What the evaluation `delays` says; both sides have 1,000 samples."""
    sizes = {"n_base": 1000, "n_head": 1000, "n_common": 1000}
    return EvaluationResult(name="delays", overall=overall, **{**sizes, **more})


def gap(base: float | None, head: float | None, ends: tuple[float, float] | None = None, **more: Any) -> Gap:
    """The gap of recall between origins."""
    one = evidence(base, head, ends, direction=Direction.LOWER)
    return Gap(metric="recall", by="origin", change=one.change, groups=3, best="EWR", worst="JFK", **more)


def flips(newly_wrong: int, newly_right: int = 5, n: int = 1000) -> Flips:
    """Changed decisions."""
    examples = tuple(f"k{number}" for number in range(min(newly_wrong, 5)))
    return Flips(n=n, newly_wrong=newly_wrong, newly_right=newly_right, wrong_examples=examples)


def judge(demand: AnyEvidenceRule, told: EvaluationResult) -> Finding:
    """The one finding of one rule."""
    (finding,) = judge_evidence([demand], [told])
    return finding
