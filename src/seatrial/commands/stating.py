"""Estimates of the statistics as evidence that a policy judges and a report tells."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from seatrial.core.comparison import Change, Side, measure_delta
from seatrial.core.evidence import Evidence, Gap
from seatrial.core.evidence_rules import Correction
from seatrial.core.metrics import Direction, Interval, MetricId, State
from seatrial.stats import gaps
from seatrial.stats.influence import Undefined
from seatrial.stats.multiplicity import benjamini_hochberg, holm
from seatrial.stats.paired import Estimate, Insufficient
from seatrial.stats.power import minimum_detectable_effect
from seatrial.stats.repeats import RepeatedEstimate
from seatrial.stats.shrinkage import shrink


def state_evidence(
    identity: MetricId,
    answer: Estimate | RepeatedEstimate | Insufficient,
    direction: Direction,
    *,
    paired: bool = True,
    unit: str = "sample",
) -> Evidence:
    """An estimate as the policy and the report take it; unless `paired`, only what it says of the candidate.

    `unit` is as in `Evidence`.
    """
    base = answer.base if paired else None
    if isinstance(answer, Insufficient):
        change = state_change(identity, base, answer.head, direction, reason=answer.reason)
        return Evidence(change=change, n=answer.n, unit=unit, reason=answer.reason)
    of_rows = answer if isinstance(answer, Estimate) else None
    interval = Interval(low=answer.low, high=answer.high, level=answer.level, n=answer.n, method=answer.method)
    change = state_change(identity, base, answer.head, direction, interval=interval if paired else None)
    return Evidence(
        change=change,
        n=answer.n,
        own=(of_rows.head_low, of_rows.head_high) if of_rows else None,
        se=answer.se if paired else None,
        detectable=minimum_detectable_effect(answer.se, level=answer.level) if paired else None,
        p_worse=(answer.p_lower if direction is Direction.HIGHER else answer.p_higher) if paired else None,
        unit=unit,
        caution=of_rows.caution if of_rows else "",
    )


def state_gap(
    identity: MetricId,
    metric: str,
    by: str,
    found: gaps.Gap | Undefined,
    names: Sequence[str],
    left_out: int,
    *,
    paired: bool,
) -> Gap:
    """A gap between groups as the policy and the report take it; unless `paired`, only the candidate's."""
    direction = Direction.LOWER
    if isinstance(found, Undefined):
        change = state_change(identity, None, None, direction, reason=found.reason)
        return Gap(metric=metric, by=by, change=change, groups=0, left_out=left_out, reason=found.reason)
    ends = Interval(low=found.low, high=found.high, level=found.level, n=found.groups, method="bootstrap of groups")
    change = state_change(
        identity, found.base if paired else None, found.head, direction, interval=ends if paired else None
    )
    return Gap(
        metric=metric,
        by=by,
        change=change,
        groups=found.groups,
        left_out=left_out,
        own=(found.head_low, found.head_high),
        best=names[found.highest],
        worst=names[found.lowest],
    )


def state_change(
    identity: MetricId,
    base: float | None,
    head: float | None,
    direction: Direction,
    *,
    interval: Interval | None = None,
    reason: str = "",
) -> Change:
    """Two values of one metric as a change; a `reason` says why one of them is not there."""
    if base is None or head is None:
        state = State.UNREADABLE if head is None else State.ADDED
    else:
        state = State.UNCHANGED if base == head else State.CHANGED
    return Change(
        id=identity,
        state=state,
        base=base,
        head=head,
        delta=measure_delta(base, head),
        direction=direction,
        interval=interval,
        side=Side.HEAD if head is None else None,
        reason=reason if state is State.UNREADABLE else "",
    )


def adjust_slices(
    found: Sequence[tuple[Evidence, Estimate | Insufficient]], correction: Correction
) -> tuple[Evidence, ...]:
    """The slices with what their number asks for: corrected p-values, and differences drawn together.

    Each metric's slices are a family of their own.
    """
    families: dict[str, list[int]] = {}
    for position, (evidence, answer) in enumerate(found):
        if isinstance(answer, Estimate) and evidence.p_worse is not None:
            families.setdefault(evidence.change.id.key[-1], []).append(position)
    adjusted = [evidence for evidence, _ in found]
    for family in families.values():
        estimates = [answer for position in family if isinstance(answer := found[position][1], Estimate)]
        p_values = _correct(np.array([adjusted[position].p_worse for position in family], dtype=np.float64), correction)
        drawn = shrink([one.delta for one in estimates], [one.se for one in estimates]).effect
        for position, p_value, shrunken in zip(family, p_values, drawn, strict=True):
            adjusted[position] = replace(adjusted[position], p_adjusted=float(p_value), shrunken=float(shrunken))
    return tuple(adjusted)


def _correct(p_values: NDArray[np.float64], correction: Correction) -> NDArray[np.float64]:
    match correction:
        case Correction.BENJAMINI_HOCHBERG:
            return benjamini_hochberg(p_values)
        case Correction.HOLM:
            return holm(p_values)
        case Correction.NONE:
            return p_values
