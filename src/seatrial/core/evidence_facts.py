"""The facts of evidence: what the JSON report holds of evaluations, beside the findings that judge them.

Part of the published schema, like everything in `facts`.
"""

from __future__ import annotations

from msgspec import Struct


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
    base: float | None
    head: float | None
    low: float | None
    high: float | None
    lowest: str
    highest: str
    reason: str


class FlipFacts(Struct, frozen=True, kw_only=True):
    """Samples that went from right to wrong and back; `p` is two-sided, of McNemar's exact test."""

    n: int
    newly_wrong: int
    newly_right: int
    wrong_examples: tuple[str, ...]
    right_examples: tuple[str, ...]
    p: float | None


class EvaluationFacts(Struct, frozen=True, kw_only=True):
    """All that the predictions of one evaluation say."""

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
