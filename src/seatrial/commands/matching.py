"""How the answers of two sides are held against each other: row by row, or each side on samples of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from seatrial.config.evaluations import Grouping, Slicing
from seatrial.core.evidence import Flips
from seatrial.sources.frames import show_keys
from seatrial.sources.predictions import Pairs, Predictions
from seatrial.sources.samples import Codes, Sliced, build_samples, cut_units, find_right, find_units, number_clusters
from seatrial.stats.estimates import estimate, estimate_slices
from seatrial.stats.groups import compare_groups, compare_groups_unpaired
from seatrial.stats.influence import Undefined
from seatrial.stats.names import Measure
from seatrial.stats.paired import Estimate, Insufficient
from seatrial.stats.proportions import mcnemar
from seatrial.stats.unpaired import Side, estimate_slices_unpaired, estimate_unpaired

if TYPE_CHECKING:
    import polars as pl

    from seatrial.stats.gaps import Gap
    from seatrial.stats.sample import Sample

Answer = Estimate | Insufficient
Answers = Mapping[Measure, Answer]


class Cut(Struct, frozen=True, kw_only=True, eq=False):
    """One slicing: the slices' names, their numbers of units on the candidate's side, and the answers of large ones."""

    names: tuple[str, ...]
    sizes: tuple[int, ...]
    answers: Mapping[int, Answers]


class Grouped(Struct, frozen=True, kw_only=True, eq=False):
    """A gap between groups, the names of all groups, and how many were too small to count."""

    gap: Gap | Undefined
    names: tuple[str, ...]
    small: int


class Match(Protocol):
    """Two sides, ready to be measured; without a baseline it is the candidate against itself."""

    @property
    def has_baseline(self) -> bool:
        """Whether the differences mean something."""

    def estimate(self, measures: Sequence[Measure]) -> Answers:
        """Each metric over everything."""

    def cut(self, slicing: Slicing) -> Iterator[Cut]:
        """Each metric of the slicing, by slice."""

    def compare_groups(self, grouping: Grouping) -> Grouped:
        """How far apart the groups of a column lie."""

    def find_flips(self) -> Flips | None:
        """What went from right to wrong and back; None where there are no decisions to hold against each other."""


class PairedMatch(Struct, frozen=True, kw_only=True, eq=False):
    """Both sides answered the same units; of a first measurement `base` is the candidate itself."""

    base: Sample
    head: Sample
    units: pl.DataFrame
    clusters: Codes | None
    pairs: Pairs | None
    thresholds: tuple[float, float]

    @classmethod
    def of(cls, pairs: Pairs, thresholds: tuple[float, float]) -> PairedMatch:
        """The rows that both sides hold."""
        base, head = build_samples((pairs.base, pairs.head), thresholds)
        return cls._build(base, head, pairs.head, pairs, thresholds)

    @classmethod
    def alone(cls, predictions: Predictions, threshold: float) -> PairedMatch:
        """A first measurement."""
        (head,) = build_samples((predictions,), (threshold,))
        return cls._build(head, head, predictions, None, (threshold, threshold))

    @classmethod
    def _build(
        cls, base: Sample, head: Sample, rows: Predictions, pairs: Pairs | None, thresholds: tuple[float, float]
    ) -> PairedMatch:
        units = find_units(rows)
        clusters = number_clusters(units)
        return cls(base=base, head=head, units=units, clusters=clusters, pairs=pairs, thresholds=thresholds)

    @property
    def has_baseline(self) -> bool:
        """Whether there are two sides."""
        return self.pairs is not None

    def estimate(self, measures: Sequence[Measure]) -> Answers:
        """Each metric over all units."""
        return estimate(self.base, self.head, measures, groups=self.clusters)

    def cut(self, slicing: Slicing) -> Iterator[Cut]:
        """Each metric of the slicing, by slice."""
        for cut in cut_units(self.units, slicing.by, [name for name, _ in slicing.where]):
            answers = estimate_slices(
                self.base, self.head, slicing.measures, cut.codes, min_n=slicing.min_n, groups=self.clusters
            )
            yield Cut(names=cut.names, sizes=cut.sizes, answers=answers)

    def compare_groups(self, grouping: Grouping) -> Grouped:
        """How far apart the groups of a column lie, on both sides together."""
        (cut,) = cut_units(self.units, [(grouping.by,)], ())
        found = compare_groups(
            self.base,
            self.head,
            grouping.measure,
            cut.codes,
            count=len(cut.names),
            min_n=grouping.min_n,
            clusters=self.clusters,
        )
        return _group(found, cut.names, [cut.sizes], grouping)

    def find_flips(self) -> Flips | None:
        """The rows whose decision went from right to wrong and back, as the two sides' own thresholds decide."""
        if self.pairs is None:
            return None
        flips = count_flips(self.pairs, self.thresholds)
        return weigh_flips(flips) if flips else None


class UnpairedMatch(Struct, frozen=True, kw_only=True, eq=False):
    """Each side answered units of its own: two independent samples."""

    base: Side
    head: Side
    units: tuple[pl.DataFrame, pl.DataFrame]

    @classmethod
    def of(cls, sides: tuple[Predictions, Predictions], thresholds: tuple[float, float]) -> UnpairedMatch:
        """All rows of both sides."""
        units = (find_units(sides[0]), find_units(sides[1]))
        base, head = (
            Side.of(sample, number_clusters(own))
            for sample, own in zip(build_samples(sides, thresholds), units, strict=True)
        )
        return cls(base=base, head=head, units=units)

    @property
    def has_baseline(self) -> bool:
        """There always is one."""
        return True

    def estimate(self, measures: Sequence[Measure]) -> Answers:
        """Each metric, on each side's own units."""
        return estimate_unpaired(self.base, self.head, measures)

    def cut(self, slicing: Slicing) -> Iterator[Cut]:
        """Each metric of the slicing, by the candidate's slices."""
        where = [name for name, _ in slicing.where]
        cuts = [cut_units(own, slicing.by, where) for own in self.units]
        for before, after in zip(*cuts, strict=True):
            codes = (_renumber(before, after.names), after.codes)
            answers = estimate_slices_unpaired(self.base, self.head, slicing.measures, codes, min_n=slicing.min_n)
            yield Cut(names=after.names, sizes=after.sizes, answers=answers)

    def compare_groups(self, grouping: Grouping) -> Grouped:
        """How far apart the groups of a column lie, on each side by itself."""
        before, after = (next(cut_units(own, [(grouping.by,)], ())) for own in self.units)
        codes = (_renumber(before, after.names), after.codes)
        found = compare_groups_unpaired(
            self.base, self.head, grouping.measure, codes, count=len(after.names), min_n=grouping.min_n
        )
        sizes = [Sliced(codes=each, names=after.names).sizes for each in codes]
        return _group(found, after.names, sizes, grouping)

    def find_flips(self) -> Flips | None:
        """No unit was decided by both."""
        return None


def count_flips(pairs: Pairs, thresholds: tuple[float, float]) -> Flips | None:
    """The rows whose decision went from right to wrong and back, untested; None of a task that takes no decisions."""
    before, after = find_right(pairs.base, thresholds[0]), find_right(pairs.head, thresholds[1])
    if before is None or after is None:
        return None
    lost, gained = before & ~after, after & ~before
    table, keys = pairs.head.table, pairs.head.keys
    return Flips(
        n=pairs.size,
        newly_wrong=int(lost.sum()),
        newly_right=int(gained.sum()),
        wrong_examples=show_keys(table.filter(lost), keys),
        right_examples=show_keys(table.filter(gained), keys),
    )


def weigh_flips(flips: Flips) -> Flips:
    """The same with their p-value."""
    return replace(flips, p=mcnemar(flips.newly_right, flips.newly_wrong).mid)


def _renumber(cut: Sliced, names: Sequence[str]) -> Codes:
    """The codes by the numbers of other names; slices that these do not hold are none."""
    number = {name: code for code, name in enumerate(names)}
    table = np.array([*(number.get(name, -1) for name in cut.names), -1], dtype=np.int64)
    return table[cut.codes]


def _group(gap: Gap | Undefined, names: Sequence[str], sizes: Sequence[Sequence[int]], grouping: Grouping) -> Grouped:
    small = sum(min(each) < grouping.min_n for each in zip(*sizes, strict=True))
    return Grouped(gap=gap, names=tuple(name.removeprefix(f"{grouping.by}=") for name in names), small=small)
