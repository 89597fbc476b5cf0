"""A match of two sides that are never in memory as a whole: parts of them are summed, and the sums merge.

Who holds the parts is an engine's affair: one machine reads them one after the other, a cluster all at once. Sums are
those of `stats.partial`; answers equal those of a `PairedMatch` to rounding, metrics of ranks to a bound that the
answer tells.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from seatrial.commands.matching import Answers, Cut, Grouped, count_flips, weigh_flips
from seatrial.config.evaluations import Evaluation, Grouping, Slicing
from seatrial.core.evidence import Flips
from seatrial.sources.frames import first_keys
from seatrial.sources.predictions import GROUP, Overlap, Pairs
from seatrial.sources.samples import Sliced, build_samples, cut_units, find_units
from seatrial.sources.streams import join_overlaps
from seatrial.stats.binary import BinarySample
from seatrial.stats.cells import encode
from seatrial.stats.estimates import sort_slices
from seatrial.stats.gaps import gap_of_cells
from seatrial.stats.influence import Floats, Undefined
from seatrial.stats.names import SPECS, Measure, Task
from seatrial.stats.partial import (
    Chunk,
    Partial,
    RankSums,
    collect,
    collect_ranks,
    finish,
    make_tables,
    merge,
    merge_ranks,
    merge_slices,
)
from seatrial.stats.partial_ranks import RankTable

if TYPE_CHECKING:
    import polars as pl

T = TypeVar("T")
# A slice: which of the slicings, and its name.
SliceKey = tuple[int, str]
Tables = Mapping[Measure, RankTable]
Cells = NDArray[np.int64]

# Scores of slices are counted in fewer bins, since there are so many of them.
SLICE_EDGES: Floats = np.concatenate(([np.nextafter(0.0, 1.0)], np.arange(1, 256) / 256, [1.0]))
_FEW = 2


class Engine(Protocol):
    """Holds both sides in parts; the candidate alone counts as both where there is no baseline."""

    @property
    def has_baseline(self) -> bool:
        """Whether there are two sides."""

    def fold(self, task: Callable[[Pairs], T], join: Callable[[T, T], T]) -> T:
        """The task's answers for all parts, joined; neither depends on the parts' order."""

    def average(self, column: str) -> float:
        """The mean of one of the candidate's columns, roughly."""


class Sums(Struct, frozen=True, kw_only=True, eq=False):
    """What the first pass knows of some parts: `sizes` are numbers of units, `cells` (2, 2, 2) are by gap and group."""

    overlaps: tuple[Overlap, ...]
    overall: Partial
    sizes: Mapping[SliceKey, int]
    cells: Mapping[SliceKey, Cells]
    flips: Flips | None


class Inquiry(Struct, frozen=True, kw_only=True):
    """What is asked of all parts alike; it travels to wherever the parts are."""

    measures: tuple[Measure, ...]
    thresholds: tuple[float, float]
    slicing: Slicing | None
    gaps: tuple[Grouping, ...]
    centre: float


def sum_part(inquiry: Inquiry, pairs: Pairs) -> Sums:
    """The first pass over one part."""
    part = _Part.of(inquiry, pairs)
    return Sums(
        overlaps=(pairs.overlap,),
        overall=collect(part.base, part.head, inquiry.measures, centre=inquiry.centre, groups=part.groups),
        sizes={
            (number, name): size
            for number, cut in enumerate(_cut(inquiry, part))
            for name, size in zip(cut.names, cut.sizes, strict=True)
        },
        cells=_count_cells(inquiry, part),
        flips=count_flips(pairs, inquiry.thresholds),
    )


def join_sums(one: Sums, other: Sums) -> Sums:
    """Of both."""
    return Sums(
        overlaps=(*one.overlaps, *other.overlaps),
        overall=merge(one.overall, other.overall),
        sizes=_add(one.sizes, other.sizes),
        cells=_add(one.cells, other.cells),
        flips=_add_flips(one.flips, other.flips),
    )


def _add_flips(one: Flips | None, other: Flips | None) -> Flips | None:
    if one is None or other is None:
        return None
    return Flips(
        n=one.n + other.n,
        newly_wrong=one.newly_wrong + other.newly_wrong,
        newly_right=one.newly_right + other.newly_right,
        wrong_examples=first_keys((*one.wrong_examples, *other.wrong_examples)),
        right_examples=first_keys((*one.right_examples, *other.right_examples)),
    )


def rank_part(inquiry: Inquiry, tables: Tables, pairs: Pairs) -> RankSums:
    """The second pass over one part, for metrics of ranks."""
    part = _Part.of(inquiry, pairs)
    return collect_ranks(part.base, part.head, tables, groups=part.groups)


def slice_part(inquiry: Inquiry, wanted: frozenset[SliceKey], pairs: Pairs) -> dict[SliceKey, Partial]:
    """Sums of those slices of one part that are wanted."""
    measures = inquiry.slicing.measures if inquiry.slicing else ()
    return {
        key: collect(base, head, measures, edges=SLICE_EDGES, centre=inquiry.centre, groups=groups)
        for key, base, head, groups in _list_slices(inquiry, pairs, wanted)
    }


def rank_slices(inquiry: Inquiry, tables: Mapping[SliceKey, Tables], pairs: Pairs) -> dict[SliceKey, RankSums]:
    """The second pass over the slices of one part."""
    return {
        key: collect_ranks(base, head, tables[key], groups=groups)
        for key, base, head, groups in _list_slices(inquiry, pairs, frozenset(tables))
    }


def join_ranks(one: Mapping[SliceKey, RankSums], other: Mapping[SliceKey, RankSums]) -> dict[SliceKey, RankSums]:
    """Of both, by slice."""
    joined = dict(one)
    for key, sums in other.items():
        joined[key] = merge_ranks(joined[key], sums) if key in joined else sums
    return joined


# Without slots, since each pass is made once.
@dataclass(frozen=True, kw_only=True)
class SummedMatch:
    """Both sides answered the same units, which are summed part by part; see `Match`."""

    engine: Engine
    evaluation: Evaluation
    measures: tuple[Measure, ...]
    thresholds: tuple[float, float]

    @property
    def has_baseline(self) -> bool:
        """Whether there are two sides."""
        return self.engine.has_baseline

    @cached_property
    def overlap(self) -> Overlap:
        """What the two evaluation sets have in common."""
        # In an order that does not depend on who was first.
        return join_overlaps(sorted(self._sums.overlaps, key=lambda part: part.digest))

    def estimate(self, measures: Sequence[Measure]) -> Answers:
        """Each metric over all units; the measures are among those that the match was made for."""
        return {measure: self._answers[measure] for measure in measures}

    def cut(self, slicing: Slicing) -> Iterator[Cut]:
        """Each metric of the slicing, by slice."""
        sizes = self._sums.sizes
        wanted = frozenset(key for key, size in sizes.items() if size >= max(slicing.min_n, 1))
        partials = self.engine.fold(partial(slice_part, self._inquiry, wanted), merge_slices)
        tables = {key: make_tables(found) for key, found in partials.items()}
        needed = {key: found for key, found in tables.items() if found}
        ranks = self.engine.fold(partial(rank_slices, self._inquiry, needed), join_ranks) if needed else {}
        answers = {key: finish(found, ranks.get(key)) for key, found in partials.items()}
        for number in range(len(slicing.by) + len(slicing.where)):
            names = sorted(name for of, name in sizes if of == number)
            yield Cut(
                names=tuple(names),
                sizes=tuple(sizes[number, name] for name in names),
                answers={code: answers[number, name] for code, name in enumerate(names) if (number, name) in answers},
            )

    def compare_groups(self, grouping: Grouping) -> Grouped:
        """How far apart the groups of a column lie, in decisions; other metrics would need all rows at once."""
        number = self.evaluation.gaps.index(grouping)
        cells = {name: found for (of, name), found in self._sums.cells.items() if of == number}
        names = tuple(sorted(cells))
        if not names:
            reason = "of files that do not fit into memory, gaps are known of decisions on independent rows alone"
            return Grouped(gap=Undefined(reason=reason), names=(), small=0)
        large = [name for name in names if cells[name].sum() >= max(grouping.min_n, _FEW)]
        counts = np.stack([cells[name] if name in large else np.zeros((2, 2, 2)) for name in names])
        found = gap_of_cells(counts, grouping.measure.name, beta=grouping.measure.beta or 1.0)
        return Grouped(gap=found, names=names, small=len(names) - len(large))

    def find_flips(self) -> Flips | None:
        """The rows whose decision went from right to wrong and back."""
        flips = self._sums.flips
        return weigh_flips(flips) if flips and self.has_baseline else None

    @cached_property
    def _inquiry(self) -> Inquiry:
        evaluation = self.evaluation
        label = evaluation.columns.label
        centre = self.engine.average(label) if label and evaluation.task is Task.REGRESSION else 0.0
        return Inquiry(
            measures=self.measures,
            thresholds=self.thresholds,
            slicing=evaluation.slicing,
            gaps=evaluation.gaps,
            centre=centre,
        )

    @cached_property
    def _sums(self) -> Sums:
        return self.engine.fold(partial(sum_part, self._inquiry), join_sums)

    @cached_property
    def _answers(self) -> Answers:
        overall = self._sums.overall
        tables = make_tables(overall)
        ranks = self.engine.fold(partial(rank_part, self._inquiry, tables), merge_ranks) if tables else None
        return finish(overall, ranks)


class _Part(Struct, frozen=True, kw_only=True, eq=False):
    """The samples of one part, its units in their order, and the clusters (units,) where these are not independent."""

    base: Chunk
    head: Chunk
    units: pl.DataFrame
    groups: NDArray[Any] | None

    @classmethod
    def of(cls, inquiry: Inquiry, pairs: Pairs) -> _Part:
        """The rows of a part as samples, which are of the tasks that `can_be_summed` lets through."""
        samples: Any = build_samples((pairs.base, pairs.head), inquiry.thresholds)
        units = find_units(pairs.head)
        groups = units[GROUP].to_numpy() if GROUP in units.columns else None
        return cls(base=samples[0], head=samples[1], units=units, groups=groups)


def _cut(inquiry: Inquiry, part: _Part) -> Iterator[Sliced]:
    slicing = inquiry.slicing
    if slicing is not None:
        yield from cut_units(part.units, slicing.by, [name for name, _ in slicing.where])


def _list_slices(
    inquiry: Inquiry, pairs: Pairs, wanted: frozenset[SliceKey]
) -> Iterator[tuple[SliceKey, Chunk, Chunk, NDArray[Any] | None]]:
    part = _Part.of(inquiry, pairs)
    for number, cut in enumerate(_cut(inquiry, part)):
        order, stretches = sort_slices(cut.codes, part.head.size, min_n=1)
        before, after = part.base.select(order), part.head.select(order)
        for code, chosen in stretches:
            key = (number, cut.names[code])
            if key in wanted:
                named = None if part.groups is None else part.groups[order][chosen]
                yield key, before.select(chosen), after.select(chosen), named


def _count_cells(inquiry: Inquiry, part: _Part) -> dict[SliceKey, Cells]:
    """Counts of labels and both sides' decisions, by gap and group; of independent rows alone."""
    found: dict[SliceKey, Cells] = {}
    base, head = part.base, part.head
    if not isinstance(base, BinarySample) or not isinstance(head, BinarySample) or part.groups is not None:
        return found
    for number, gap in enumerate(inquiry.gaps):
        if not SPECS[Task.BINARY][gap.measure.name].is_of_decisions:
            continue
        (cut,) = cut_units(part.units, [(gap.by,)], ())
        before, after = (side.score >= side.cut(gap.measure) for side in (base, head))
        joint = cut.codes * 8 + encode(head.label, before, after)
        counts = np.bincount(joint, minlength=8 * len(cut.names)).reshape(-1, 2, 2, 2).astype(np.int64)
        names = [name.removeprefix(f"{gap.by}=") for name in cut.names]
        found |= {(number, name): cells for name, cells in zip(names, counts, strict=True)}
    return found


def _add(one: Mapping[SliceKey, Any], other: Mapping[SliceKey, Any]) -> dict[SliceKey, Any]:
    return {key: _sum(one.get(key), other.get(key)) for key in {**one, **other}}


def _sum(one: Any, other: Any) -> Any:
    return other if one is None else one if other is None else one + other
