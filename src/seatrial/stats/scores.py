"""The mean of a column of scores: graded answers, judgements, any number that is given to each answer.

A prompt that was answered several times is one unit, with the mean of its draws: the draws tell how the model varies,
not how prompts differ, and counting them as rows of their own would make an interval too short.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seatrial.stats.influence import (
    Floats,
    Influence,
    Undefined,
    check_weight,
    is_same,
    mean_influence,
    share_influence,
)
from seatrial.stats.names import Measure, Task
from seatrial.stats.sample import Units, find_spec
from seatrial.stats.units import Grouping

if TYPE_CHECKING:
    from typing_extensions import Self

TOO_LARGE = Undefined(reason="its scores are too large to be squared or summed")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScoreSample:
    """One model's scores by unit; see `Sample`.

    `units` (units,) are their names, ascending (positions where none were given), `mean` (units,) the mean of each
    one's draws, `draws` (units,) their number, `scatter` (units,) the sum of their squared distances from it.
    """

    task: ClassVar[Task] = Task.SCORES

    units: NDArray[np.generic]
    mean: Floats
    draws: NDArray[np.intp]
    scatter: Floats
    weight: Floats | None = None

    @classmethod
    def of(cls, score: ArrayLike, *, unit: ArrayLike | None = None, weight: ArrayLike | None = None) -> Self:
        """Take the mean of each unit's rows; without `unit` (rows,) each row is a unit, in the rows' order.

        `weight` (rows,) is the unit's, the same in all of its rows. ValueError for unequal lengths, scores that are
        not finite, weights that differ within a unit or are not above 0.
        """
        scores = np.asarray(score, dtype=np.float64)
        if scores.ndim != 1 or not np.isfinite(scores).all():
            raise ValueError("scores are not one finite number for each row")
        if unit is None:
            rows = scores.size
            draws, weights = np.ones(rows, dtype=np.intp), check_weight(weight, rows)
            return cls(units=np.arange(rows), mean=scores, draws=draws, scatter=np.zeros(rows), weight=weights)
        grouping = Grouping.of(unit)
        if grouping.code.size != scores.size:
            raise ValueError("units are not one name for each row")
        draws = np.bincount(grouping.code, minlength=grouping.names.size)
        mean = np.bincount(grouping.code, weights=scores, minlength=grouping.names.size) / draws
        apart = (scores - mean[grouping.code]) ** 2
        scatter = np.bincount(grouping.code, weights=apart, minlength=grouping.names.size).astype(np.float64)
        weights = grouping.take_common(weight)
        return cls(units=grouping.names, mean=mean, draws=draws, scatter=scatter, weight=weights)

    @property
    def size(self) -> int:
        """The number of units."""
        return self.mean.size

    def measure(self, measure: Measure) -> Influence | Undefined:
        """The mean over units; a plain proportion, with hits, where each is 0 or 1. ValueError for another name."""
        find_spec(self.task, measure)
        hits = self.mean == 1
        if self.weight is None and (hits | (self.mean == 0)).all():
            return share_influence(hits)
        with np.errstate(over="ignore", invalid="ignore"):
            found = mean_influence(self.mean, weight=self.weight)
            if isinstance(found, Influence) and not np.isfinite(found.psi @ found.psi):
                return TOO_LARGE
        return found

    def select(self, units: Units) -> Self:
        """The units at these positions, in this order."""
        return type(self)(
            units=self.units[units],
            mean=self.mean[units],
            draws=self.draws[units],
            scatter=self.scatter[units],
            weight=None if self.weight is None else self.weight[units],
        )

    def answers_like(self, other: Self, measure: Measure) -> bool:
        """Whether means, numbers and scatter of the draws, and weights are equal unit by unit."""
        find_spec(self.task, measure)
        names = ("mean", "draws", "scatter", "weight")
        return all(is_same(getattr(self, name), getattr(other, name)) for name in names)


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawComponents:
    """What the variance of a unit's difference (candidate − baseline) is made of.

    `within` is the part that comes from drawing anew, per unit as it was measured; `between` the part by which units
    truly differ, at least 0. `draws` is the mean number of draws per unit and side. Variances are in squared scores.
    """

    units: int
    draws: float
    within: float
    between: float

    @property
    def draw_share(self) -> float:
        """The share of the variance, 0 to 1, that more draws of the same units could take away."""
        total = self.within + self.between
        return self.within / total if total else 0.0

    @property
    def advice(self) -> str:
        """What would make the interval shorter."""
        start = f"{self.draws:.3g} draws per unit make up {self.draw_share:.0%} of the variance"
        if self.draw_share < 0.2:
            return f"{start}: more units would help, more draws would not"
        if self.draw_share < 0.8:
            return f"{start}: more units would help, and so would more draws"
        return f"{start}: more draws would help"


def find_components(base: ScoreSample, head: ScoreSample) -> DrawComponents | Undefined:
    """Split the variance of the units' differences by the method of moments (one-way random effects).

    Within is the mean over units of s²/draws of both sides, s² being pooled over the side's units; between is what
    remains of the variance of the differences. Weights are left aside. ValueError unless both hold as many units;
    Undefined with fewer than 2 units, or where a side has no unit with 2 draws.
    """
    if base.size != head.size:
        raise ValueError(f"{base.size} units can't be paired with {head.size}")
    if head.size < 2:
        return Undefined(reason="there are not 2 units")
    within = 0.0
    for side in (base, head):
        spare = int(side.draws.sum()) - side.size
        if spare == 0:
            return Undefined(reason="no unit was drawn twice")
        within += float(side.scatter.sum()) / spare * float((1 / side.draws).mean())
    total = float(np.var(head.mean - base.mean, ddof=1))
    draws = float(base.draws.mean() + head.draws.mean()) / 2
    return DrawComponents(units=head.size, draws=draws, within=within, between=max(total - within, 0.0))
