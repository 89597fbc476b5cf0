"""Metrics of predicted numbers: what each costs a row, and the coefficient of determination.

Formulas are those of scikit-learn's functions of the same names; weights multiply each row's share.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from seatrial.stats.influence import (
    Floats,
    Influence,
    Undefined,
    check_weight,
    count_effective,
    is_same,
    mean_influence,
    ratio_influence,
)
from seatrial.stats.names import DEFAULT_QUANTILE, Measure, Task
from seatrial.stats.sample import Units, find_spec

if TYPE_CHECKING:
    from typing_extensions import Self

OVERFLOW = Undefined(reason="its errors are too large to be squared or summed")
ALL_ZERO = Undefined(reason="every true value is 0")
ALL_THE_SAME = Undefined(reason="the true values are all the same")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RegressionSample:
    """One model's predicted numbers (n,) of the true ones (n,); see `Sample`."""

    task: ClassVar[Task] = Task.REGRESSION

    truth: Floats
    prediction: Floats
    weight: Floats | None = None

    @classmethod
    def of(cls, truth: ArrayLike, prediction: ArrayLike, *, weight: ArrayLike | None = None) -> Self:
        """Check the arrays, all (n,); ValueError unless each holds one finite number for each row, weights above 0."""
        true, predicted = np.asarray(truth, dtype=np.float64), np.asarray(prediction, dtype=np.float64)
        for name, values in (("truths", true), ("predictions", predicted)):
            if values.ndim != 1 or values.shape != true.shape or not np.isfinite(values).all():
                raise ValueError(f"{name} are not one finite number for each row")
        return cls(truth=true, prediction=predicted, weight=check_weight(weight, true.size))

    @property
    def size(self) -> int:
        """The number of rows."""
        return self.truth.size

    def measure(self, measure: Measure) -> Influence | Undefined:
        """The metric of `SPECS[Task.REGRESSION]`; ValueError for another name or setting, or a quantile not in 0…1."""
        find_spec(self.task, measure)
        quantile = DEFAULT_QUANTILE if measure.quantile is None else measure.quantile
        if not 0 < quantile < 1:
            raise ValueError(f"the quantile {quantile} is not between 0 and 1")
        if self.size == 0:
            return Undefined(reason="there are no rows")
        with np.errstate(over="ignore", invalid="ignore"):
            found = _pinball(self, quantile) if measure.name == "pinball" else _METRICS[measure.name](self)
            # Checked last and at once: a sum that overflowed has spoiled the value or an influence.
            if isinstance(found, Influence) and not np.isfinite(found.value + found.psi @ found.psi):
                return OVERFLOW
        return found

    def select(self, units: Units) -> Self:
        """The rows `units`, in this order."""
        weight = None if self.weight is None else self.weight[units]
        return type(self)(truth=self.truth[units], prediction=self.prediction[units], weight=weight)

    def answers_like(self, other: Self, measure: Measure) -> bool:
        """Whether truths, predictions and weights are equal; the settings of `measure` are the same for both sides."""
        find_spec(self.task, measure)
        names = ("prediction", "truth", "weight")
        return all(is_same(getattr(self, name), getattr(other, name)) for name in names)


def _mse(sample: RegressionSample) -> Influence | Undefined:
    return mean_influence((sample.prediction - sample.truth) ** 2, weight=sample.weight)


def _rmse(sample: RegressionSample) -> Influence | Undefined:
    """Root of the MSE; ψ is (ψ of MSE) / (2·RMSE), and 0 where no row errs, whatever its weight."""
    found = _mse(sample)
    if isinstance(found, Undefined):
        return found
    value = float(np.sqrt(found.value))
    psi = found.psi / (2 * value) if value else found.psi
    return Influence(value=value, psi=psi, support=found.support, mass=found.mass)


def _mae(sample: RegressionSample) -> Influence | Undefined:
    return mean_influence(np.abs(sample.prediction - sample.truth), weight=sample.weight)


def _mape(sample: RegressionSample) -> Influence | Undefined:
    """Mean of |error| / |truth|."""
    zeros = sample.size - int(np.count_nonzero(sample.truth))
    if zeros:
        return divide_by_zeros(zeros)
    return mean_influence(np.abs((sample.prediction - sample.truth) / sample.truth), weight=sample.weight)


def divide_by_zeros(rows: int) -> Undefined:
    """Why there is no MAPE where so many true values are 0."""
    values = "1 true value is" if rows == 1 else f"{rows} true values are"
    return Undefined(reason=f"{values} 0, by which it would divide; wape sums before it divides")


def _wape(sample: RegressionSample) -> Influence | Undefined:
    """Σ|error| / Σ|truth|: the MAPE in which a row counts as much as its true value."""
    if not sample.truth.any():
        return ALL_ZERO
    error = np.abs(sample.prediction - sample.truth)
    return ratio_influence(error, np.abs(sample.truth), support=_support(sample), weight=sample.weight)


def _pinball(sample: RegressionSample, quantile: float) -> Influence | Undefined:
    """Mean of q·max(truth − prediction, 0) + (1 − q)·max(prediction − truth, 0) (Koenker & Bassett 1978)."""
    below = sample.truth - sample.prediction
    return mean_influence(np.where(below > 0, quantile, quantile - 1) * below, weight=sample.weight)


def _r2(sample: RegressionSample) -> Influence | Undefined:
    """1 − MSE/V, V being the variance of the truth; ψ = −(e² − MSE)/V + MSE·((y − ȳ)² − V)/V²."""
    if sample.truth.min() == sample.truth.max():
        return ALL_THE_SAME
    errors, mean = _mse(sample), mean_influence(sample.truth, weight=sample.weight)
    if isinstance(errors, Undefined) or isinstance(mean, Undefined):
        return errors
    # The mean moves with the weights too, but the variance is at its least there: no first-order share of it.
    spread = mean_influence((sample.truth - mean.value) ** 2, weight=sample.weight)
    if isinstance(spread, Undefined) or spread.value == 0:
        return Undefined(reason="the true values are all but the same")
    psi = (errors.value / spread.value * spread.psi - errors.psi) / spread.value
    value = 1 - errors.value / spread.value
    return Influence(value=value, psi=psi, support=errors.support, mass=errors.mass)


def _support(sample: RegressionSample) -> int:
    return sample.size if sample.weight is None else count_effective(sample.weight)


_METRICS: dict[str, Callable[[RegressionSample], Influence | Undefined]] = {
    "mse": _mse,
    "rmse": _rmse,
    "mae": _mae,
    "mape": _mape,
    "wape": _wape,
    "r2": _r2,
}
