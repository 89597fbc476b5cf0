"""Means of losses on both sides, with their scatter, which merge without loss of digits.

Each metric here is a function g of the means of a few numbers a row, so that ψ is its gradient times what the row's
numbers differ from their means, and Σψ² needs no more than their scatter matrix. The first two numbers are the
baseline's loss and by how much the candidate's is larger: the difference itself is summed, for nearly equal models
would cancel otherwise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from seatrial.stats.influence import Floats


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Moments:
    """Of n rows of k numbers, the means (k,) and the scatter Σ(x − x̄)(x − x̄)ᵀ (k, k)."""

    n: int
    mean: Floats
    scatter: Floats

    @classmethod
    def of(cls, rows: Floats) -> Moments:
        """The moments of rows (k, n)."""
        n = rows.shape[1]
        if n == 0:
            return cls(n=0, mean=np.zeros(rows.shape[0]), scatter=np.zeros((rows.shape[0],) * 2))
        mean = rows.mean(axis=1)
        apart = rows - mean[:, np.newaxis]
        return cls(n=n, mean=mean, scatter=apart @ apart.T)

    def merge(self, other: Moments) -> Moments:
        """The moments of both, as of all rows together (Chan, Golub & LeVeque 1979)."""
        n = self.n + other.n
        if n == 0:
            return self
        # What overflows is not finite in the end, and is told then.
        with np.errstate(over="ignore", invalid="ignore"):
            apart = other.mean - self.mean
            mean = self.mean + apart * (other.n / n)
            scatter = self.scatter + other.scatter + np.outer(apart, apart) * (self.n / n * other.n)
        return Moments(n=n, mean=mean, scatter=scatter)

    def square(self, gradient: Floats) -> float:
        """Σψ² of a metric with this gradient (k,) in the means."""
        return max(float(gradient @ self.scatter @ gradient), 0.0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Differentiated:
    """Values of both sides, and the gradients (k,) of the candidate's and of the difference."""

    base: float
    head: float
    of_head: Floats
    of_difference: Floats


def differentiate(name: str, mean: Floats) -> Differentiated:
    """A metric as a function of its means: (loss, difference) and for wape |truth|, for r2 truth and its square."""
    match name:
        case "rmse":
            return _root(mean)
        case "wape":
            return _ratio(mean)
        case "r2":
            return _determination(mean)
        case _:
            ahead = np.array([1.0, 1.0])
            return Differentiated(
                base=float(mean[0]), head=float(mean[0] + mean[1]), of_head=ahead, of_difference=np.array([0.0, 1.0])
            )


def _root(mean: Floats) -> Differentiated:
    base, head = math.sqrt(mean[0]), math.sqrt(max(mean[0] + mean[1], 0.0))
    before, after = (1 / (2 * root) if root else 0.0 for root in (base, head))
    # 1/(2h) − 1/(2b) as one fraction, which does not cancel.
    apart = -float(mean[1]) / (2 * base * head * (base + head)) if base and head else after - before
    return Differentiated(
        base=base, head=head, of_head=np.array([after, after]), of_difference=np.array([apart, after])
    )


def _ratio(mean: Floats) -> Differentiated:
    whole = float(mean[2])
    base, apart = float(mean[0]) / whole, float(mean[1]) / whole
    return Differentiated(
        base=base,
        head=base + apart,
        of_head=np.array([1.0, 1.0, -(base + apart)]) / whole,
        of_difference=np.array([0.0, 1.0, -apart]) / whole,
    )


def _determination(mean: Floats) -> Differentiated:
    """1 − MSE/V; the third and fourth mean are of the truth less a constant, and of its square."""
    variance = float(mean[3] - mean[2] ** 2)
    spread = np.array([0.0, 0.0, -2 * mean[2], 1.0])
    loss, apart = float(mean[0]) / variance, float(mean[1]) / variance
    ahead = np.array([1.0, 1.0, 0.0, 0.0])
    return Differentiated(
        base=1 - loss,
        head=1 - loss - apart,
        of_head=((loss + apart) * spread - ahead) / variance,
        of_difference=(apart * spread - np.array([0.0, 1.0, 0.0, 0.0])) / variance,
    )
