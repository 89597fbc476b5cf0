"""How much a metric, or the difference of two, varies from one evaluation set to the next."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seatrial.stats.influence import Bools, Floats, Influence, Undefined, is_same

# With fewer clusters, counted by their effective number, there is no standard error.
MIN_CLUSTERS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """A standard error and the degrees of freedom of its t."""

    se: float
    df: float
    method: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Clusters:
    """Rows that belong together: `code` (n,) is each row's cluster, from 0 to count − 1."""

    code: NDArray[np.intp]
    count: int

    @classmethod
    def of(cls, groups: NDArray[np.generic]) -> Clusters:
        """Number the distinct names (n,) of the rows' clusters."""
        names, code = np.unique(groups, return_inverse=True)
        return cls(code=code, count=names.size)

    def select(self, units: NDArray[np.intp] | slice) -> Clusters:
        """The clusters of some of the rows."""
        return Clusters.of(self.code[units])

    def sum(self, values: NDArray[np.generic] | None) -> Floats:
        """Sums (count,) by cluster of values (n,), or its numbers of rows."""
        return np.bincount(self.code, weights=values, minlength=self.count).astype(np.float64, copy=False)


def find_spread(head: Influence, base: Influence | None = None, clusters: Clusters | None = None) -> Spread | Undefined:
    """The spread of `head` − `base`, two influences on the same rows, or of `head` alone."""
    support = head.support if base is None else min(head.support, base.support)
    if clusters is not None:
        return _jackknife(head, base, clusters, support=support)
    if base is None:
        return _spread(head.psi, head.strata, support=support)
    strata = head.strata if is_same(base.strata, head.strata) else None
    return _spread(head.psi - base.psi, strata, support=support)


def _spread(psi: Floats, strata: Bools | None, *, support: int) -> Spread:
    """SE² = Σψ² / (n(n − 1)); with strata, each kind has its own n − 1, as in DeLong's variance."""
    total = float(psi @ psi)
    if strata is None:
        scatter = unbias(total, psi.size)
        method = "influence functions, t"
    else:
        of_one = psi[strata]
        part = float(of_one @ of_one)
        scatter = unbias(part, of_one.size) + unbias(max(total - part, 0.0), psi.size - of_one.size)
        method = "DeLong, t"
    return Spread(se=math.sqrt(scatter) / psi.size, df=support - 1, method=method)


def unbias(squares: float, n: int) -> float:
    """A sum of squares about a mean of n values, freed of the one degree of freedom that the mean took."""
    return squares * (n / (n - 1) if n > 1 else 1.0)


def _jackknife(head: Influence, base: Influence | None, clusters: Clusters, *, support: int) -> Spread | Undefined:
    """Leave-one-cluster-out jackknife of the linearised metric (CR3), which is exact for ratios of sums."""
    sides = (head,) if base is None else (head, base)
    masses = [clusters.sum(side.mass) for side in sides]
    effective = min(float(mass.sum()) ** 2 / float(mass @ mass) for mass in masses)
    if effective < MIN_CLUSTERS:
        return Undefined(
            reason=f"its rows fall into {effective:.1f} clusters of effective size, and {MIN_CLUSTERS} are needed"
        )
    shifts = [_leave_out(side, mass, clusters) for side, mass in zip(sides, masses, strict=True)]
    shift = shifts[0] - shifts[1] if base is not None else shifts[0]
    count = int(np.count_nonzero(sum(masses)))
    se = math.sqrt((count - 1) / count * float(shift @ shift))
    return Spread(se=se, df=min(effective, support) - 1, method="cluster jackknife, t")


def _leave_out(side: Influence, mass: Floats, clusters: Clusters) -> Floats:
    """By how much (count,) the metric falls as each cluster is left out: its Σψ/n · M/(M − M_g)."""
    total = float(mass.sum())
    return clusters.sum(side.psi) / side.psi.size * (total / (total - mass))
