"""The facts of evidence: what the JSON report holds of evaluations, beside the findings that judge them.

Part of the published schema, like everything in `facts`.
"""

from __future__ import annotations

import math

from msgspec import Struct

from seatrial.core.evidence import EvaluationResult, Evidence, Flips, Gap
from seatrial.core.metrics import Value


class EstimateFacts(Struct, frozen=True, kw_only=True):
    """One metric on all samples or on one slice.

    `low` and `high` are the interval of the difference candidate − baseline, `own_low` and `own_high` that of the
    candidate's value, all at `level`. `p_worse` is one-sided; `p_adjusted` allows for the number of slices; `shrunken`
    is the difference drawn together as far as its noise demands. `reason` says why there is no interval.
    """

    metric: str
    slice: str
    n: int
    base: float | None
    head: float | None
    delta: float | None
    low: float | None
    high: float | None
    level: float | None
    method: str | None
    own_low: float | None
    own_high: float | None
    detectable: float | None
    p_worse: float | None
    p_adjusted: float | None
    shrunken: float | None
    direction: str | None
    reason: str
    caution: str


class GapFacts(Struct, frozen=True, kw_only=True):
    """The largest difference of a metric between the groups of a column."""

    metric: str
    by: str
    groups: int
    left_out: int
    base: float | None
    head: float | None
    low: float | None
    high: float | None
    lowest: str
    highest: str
    reason: str


class FlipFacts(Struct, frozen=True, kw_only=True):
    """Samples that went from right to wrong and back; `p` is two-sided, McNemar's mid-p."""

    n: int
    newly_wrong: int
    newly_right: int
    wrong_examples: tuple[str, ...]
    right_examples: tuple[str, ...]
    p: float | None


class EvaluationFacts(Struct, frozen=True, kw_only=True):
    """All that the predictions of one evaluation say; `side` is the one whose predictions can't be read."""

    name: str
    n_base: int | None
    n_head: int | None
    n_common: int | None
    labels_changed: int
    digest: str
    overall: tuple[EstimateFacts, ...]
    slices: tuple[EstimateFacts, ...]
    untested_slices: int
    gaps: tuple[GapFacts, ...]
    flips: FlipFacts | None
    reused: int | None
    problem: str
    side: str | None = None


def state_evaluation(result: EvaluationResult) -> EvaluationFacts:
    """All that an evaluation says, as data."""
    return EvaluationFacts(
        name=result.name,
        n_base=result.n_base,
        n_head=result.n_head,
        n_common=result.n_common,
        labels_changed=result.labels_changed,
        digest=result.digest,
        overall=tuple(_state_estimate(each) for each in result.overall),
        slices=tuple(_state_estimate(each) for each in result.slices),
        untested_slices=result.untested,
        gaps=tuple(_state_gap(gap) for gap in result.gaps),
        flips=_state_flips(result.flips) if result.flips else None,
        reused=result.reused,
        problem=result.problem.message if result.problem else result.mismatch,
        side=result.side.value if result.side else None,
    )


def _state_estimate(evidence: Evidence) -> EstimateFacts:
    change, own = evidence.change, evidence.own or (None, None)
    interval = change.interval
    return EstimateFacts(
        metric=change.id.key[-1],
        slice=change.id.slice,
        n=evidence.n,
        base=_number(change.base),
        head=_number(change.head),
        delta=None if change.delta is None else float(change.delta.absolute),
        low=interval.low if interval else None,
        high=interval.high if interval else None,
        level=interval.level if interval else None,
        method=interval.method if interval else None,
        own_low=_number(own[0]),
        own_high=_number(own[1]),
        detectable=evidence.detectable,
        p_worse=evidence.p_worse,
        p_adjusted=evidence.p_adjusted,
        shrunken=evidence.shrunken,
        direction=change.direction.value if change.direction else None,
        reason=evidence.reason,
        caution=evidence.caution,
    )


def _number(value: Value) -> float | None:
    """A number that JSON can hold; an interval without an end on one side has none."""
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None


def _state_gap(gap: Gap) -> GapFacts:
    interval = gap.change.interval
    return GapFacts(
        metric=gap.metric,
        by=gap.by,
        groups=gap.groups,
        left_out=gap.left_out,
        base=_number(gap.change.base),
        head=_number(gap.change.head),
        low=interval.low if interval else None,
        high=interval.high if interval else None,
        lowest=gap.worst,
        highest=gap.best,
        reason=gap.reason,
    )


def _state_flips(flips: Flips) -> FlipFacts:
    return FlipFacts(
        n=flips.n,
        newly_wrong=flips.newly_wrong,
        newly_right=flips.newly_right,
        wrong_examples=flips.wrong_examples,
        right_examples=flips.right_examples,
        p=flips.p,
    )


class ProspectFacts(Struct, frozen=True, kw_only=True):
    """What one demand of a gate can tell: see `seatrial.core.planning.Prospect`."""

    file: str
    metric: str
    slice: str
    check: str
    limit: str
    n: int
    detectable: float | None
    blocks: float | None
    enough: int | None
    assumed: bool
    reason: str


class PlanFacts(Struct, frozen=True, kw_only=True):
    """What `seatrial plan --format json` prints."""

    schema_version: int
    correlation: float
    prospects: tuple[ProspectFacts, ...]
