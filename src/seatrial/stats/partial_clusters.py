"""Sums by cluster, for rows that are not independent of each other.

The jackknife of clusters needs of each cluster the sum of its influences and its share of the metric's denominator.
Both follow from sums that add up, so that sums of one cluster from several parts are merged by its name. Memory
grows with the clusters: 64 bytes each for a pair of thresholds, 16 to 32 for a loss, 16 for a metric of ranks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seatrial.stats.influence import Floats, Influence, Undefined
from seatrial.stats.names import Measure
from seatrial.stats.spread import Clusters, Spread, find_spread
from seatrial.stats.units import Grouping

Ints = NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClusterSums:
    """Clusters by name (clusters,), ascending, with the rows (clusters,) of each and sums (clusters, k) by metric."""

    names: NDArray[np.generic]
    rows: NDArray[np.int64]
    sums: Mapping[Measure, NDArray[Any]]

    @classmethod
    def of(cls, grouping: Grouping, sums: Mapping[Measure, NDArray[Any]]) -> ClusterSums:
        """The sums of the grouping's clusters, whose rows are counted."""
        rows = np.bincount(grouping.code, minlength=grouping.names.size).astype(np.int64)
        return cls(names=grouping.names, rows=rows, sums=sums)

    def merge(self, other: ClusterSums) -> ClusterSums:
        """The sums of both by name; ValueError if the names are of other types."""
        if self.names.size and other.names.size and _kind(self.names) != _kind(other.names):
            raise ValueError("clusters that are named by text and by numbers can't be merged")
        names = other.names if not self.names.size else np.union1d(self.names, other.names)
        places = np.searchsorted(names, self.names), np.searchsorted(names, other.names)
        # Metrics of one threshold share their sums, and go on sharing them.
        done: dict[tuple[int, int], NDArray[Any]] = {}
        sums = {}
        for measure, mine in self.sums.items():
            pair = id(mine), id(other.sums[measure])
            if pair not in done:
                done[pair] = _add(names.size, places, (mine, other.sums[measure]))
            sums[measure] = done[pair]
        return ClusterSums(names=names, rows=_add(names.size, places, (self.rows, other.rows)), sums=sums)


def _kind(names: NDArray[np.generic]) -> bool:
    return names.dtype.kind in "SUOT"


def _add(size: int, places: tuple[Ints, Ints], parts: tuple[NDArray[Any], NDArray[Any]]) -> NDArray[Any]:
    """Parts (clusters, …) at their places in (size, …), added where they meet."""
    total = np.zeros((size, *parts[0].shape[1:]), dtype=parts[0].dtype)
    for place, part in zip(places, parts, strict=True):
        total[place] += part
    return total


def sum_columns(code: Ints, clusters: int, columns: Floats) -> Floats:
    """Sums (clusters, k) of columns (k, n) of rows whose clusters are `code` (n,)."""
    sums = [np.bincount(code, weights=column, minlength=clusters) for column in columns]
    return np.stack(sums, axis=1).astype(np.float64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClusterSide:
    """One side by cluster: the sums of influences (clusters,) and the masses (clusters,) of the denominator."""

    psi: Floats
    mass: Floats
    support: int


def jackknife(head: ClusterSide, base: ClusterSide | None, *, n: int) -> Spread | Undefined:
    """What `find_spread` says of n rows in these clusters: each cluster stands for a row of its own."""
    sides = [_as_rows(side, n) for side in (head, *([] if base is None else [base]))]
    clusters = Clusters(code=np.arange(head.psi.size), count=head.psi.size)
    return find_spread(sides[0], sides[1] if base is not None else None, clusters)


def _as_rows(side: ClusterSide, n: int) -> Influence:
    # find_spread divides by the number of its rows, which here is that of the clusters.
    scale = side.psi.size / n
    return Influence(value=0.0, psi=side.psi * scale, support=side.support, mass=side.mass)
