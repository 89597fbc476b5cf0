"""What per-sample predictions say of a change: metric by metric, as a whole and by slice."""

from __future__ import annotations

import math

from msgspec import Struct

from seatrial.core.comparison import Change, Side
from seatrial.core.metrics import Direction, MetricId, Problem

_NEVER = 1_000  # so many times the samples that are there is no advice


def scale_samples(n: int, detectable: float, distance: float) -> float:
    """How many samples show a true change of this `distance` where n of them show one of `detectable`, and no smaller.

    The standard error falls with √n: n · (detectable / distance)².
    """
    return n * (detectable / distance) ** 2


class Harm(Struct, frozen=True, kw_only=True):
    """How much worse the candidate is, in the metric's own unit, whichever way is better: below 0 it is better."""

    point: float
    low: float
    high: float


class Evidence(Struct, frozen=True, kw_only=True):
    """One metric of one evaluation, over all samples or over one slice.

    `change` holds the values, the direction and the interval of the difference, if there is one; `reason` says why
    there is none. `own` is the candidate's own interval, `se` the standard error of the difference. `detectable` is the
    smallest true change that so many samples would show; `p_worse` the one-sided p-value of "the candidate is worse",
    and `p_adjusted` the same after the correction for the number of slices. `shrunken` is the difference, drawn
    together as far as its noise demands.
    `unit` is what `n` counts where more of them make the difference surer, and empty where they would not.
    """

    change: Change
    n: int
    own: tuple[float, float] | None = None
    se: float | None = None
    detectable: float | None = None
    p_worse: float | None = None
    p_adjusted: float | None = None
    shrunken: float | None = None
    unit: str = "sample"
    reason: str = ""
    caution: str = ""

    @property
    def identical(self) -> bool:
        """Whether both models answered everything that the metric sees alike."""
        interval = self.change.interval
        return interval is not None and interval.low == interval.high == 0

    @property
    def harm(self) -> Harm | None:
        """How much worse the candidate is; None without an interval."""
        change = self.change
        if change.interval is None or change.delta is None:
            return None
        point, low, high = float(change.delta.absolute), change.interval.low, change.interval.high
        if change.direction is Direction.LOWER:
            return Harm(point=point, low=low, high=high)
        return Harm(point=-point, low=-high, high=-low)

    def is_worse(self, q: float) -> bool:
        """Whether harm is proven: of a slice after the correction for the number of slices."""
        p_value = self.p_worse if self.p_adjusted is None else self.p_adjusted
        return p_value is not None and p_value <= q

    def samples_for(self, distance: float) -> int | None:
        """How many units would tell a true change that lies this far from the limit; None where that is no advice."""
        if not self.detectable or not distance or not self.unit:
            return None
        needed = scale_samples(self.n, self.detectable, distance)
        return math.ceil(needed) if needed < self.n * _NEVER else None


class Flips(Struct, frozen=True, kw_only=True):
    """Samples whose decision went from right to wrong and from wrong to right, with a few of their keys.

    `p` is the two-sided mid-p of McNemar's test.
    """

    n: int
    newly_wrong: int
    newly_right: int
    wrong_examples: tuple[str, ...] = ()
    right_examples: tuple[str, ...] = ()
    p: float | None = None

    @property
    def churn(self) -> float:
        """The share of samples that the two models decide differently as to right and wrong."""
        return (self.newly_wrong + self.newly_right) / self.n if self.n else 0.0


class Gap(Struct, frozen=True, kw_only=True):
    """The largest difference of a metric between groups; `change` is of the gap itself, and less is better.

    `groups` were compared, `left_out` are too small. `own` is the interval of the candidate's gap, `best` and `worst`
    are the groups that make it.
    """

    metric: str
    by: str
    change: Change
    groups: int
    left_out: int = 0
    own: tuple[float, float] | None = None
    best: str = ""
    worst: str = ""
    reason: str = ""


class Cohort(Struct, frozen=True, kw_only=True):
    """A slice that the policy wants to be there, and how many samples of it there are."""

    name: str
    n: int
    needed: int


class EvaluationResult(Struct, frozen=True, kw_only=True):
    """All that one evaluation's predictions say.

    `slices` are those with enough samples, `untested` counts the others; a slice is proven worse below `q`. `reused`
    counts the models of the main branch that were judged on this evaluation set. `mismatch` says how the two
    evaluation sets differ where the policy wants them to be the same. With a `problem` on a `side` there is nothing
    else.
    """

    name: str
    overall: tuple[Evidence, ...] = ()
    slices: tuple[Evidence, ...] = ()
    untested: int = 0
    min_n: int = 0
    q: float = 0.05
    gaps: tuple[Gap, ...] = ()
    flips: Flips | None = None
    cohorts: tuple[Cohort, ...] = ()
    n_base: int | None = None
    n_head: int | None = None
    n_common: int | None = None
    labels_changed: int = 0
    digest: str = ""
    reused: int | None = None
    mismatch: str = ""
    problem: Problem | None = None
    side: Side | None = None

    def identify(self, metric: str) -> MetricId:
        """The address that a metric has within this evaluation where no answer of it is at hand."""
        return MetricId(file=self.name, key=(metric,))
