"""A match of two sides that are never in memory as a whole: parts of them are summed, and the sums merge.

Who holds the parts is an engine's affair: one machine reads them one after the other, a cluster all at once. Sums are
those of `stats.partial`; answers equal those of a `PairedMatch` to rounding, metrics of ranks to a bound that the
answer tells.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Protocol, TypeVar

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from seatrial.commands.matching import Answers, Cut, Grouped
from seatrial.config.evaluations import Evaluation, Grouping, Slicing
from seatrial.core.evidence import Flips
from seatrial.sources.frames import first_keys, show_keys
from seatrial.sources.predictions import GROUP, Overlap, Pairs
from seatrial.sources.samples import Sliced, build_samples, cut_units, find_right, find_units
from seatrial.sources.streams import join_overlaps
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
from seatrial.stats.proportions import mcnemar

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
    flips: tuple[int, int] | None
    wrong_examples: tuple[str, ...] = ()
    right_examples: tuple[str, ...] = ()


class Inquiry(Struct, frozen=True, kw_only=True):
    """What is asked of all parts alike; it travels to wherever the parts are."""

    measures: tuple[Measure, ...]
    thresholds: tuple[float, float]
    slicing: Slicing | None
    gaps: tuple[Grouping, ...]
    centre: float


def sum_part(inquiry: Inquiry, pairs: Pairs) -> Sums:
    """The first pass over one part."""
    base, head = _sample(inquiry, pairs)
    units = find_units(pairs.head)
    groups = units[GROUP].to_numpy() if GROUP in units.columns else None
    slices = list(_cut(inquiry, pairs))
    flips, wrong, right = _count_flips(inquiry, pairs)
    return Sums(
        overlaps=(_without_rows(pairs),),
        overall=collect(base, head, inquiry.measures, centre=inquiry.centre, groups=groups),
        sizes={
            (number, name): int(size)
            for number, cut in enumerate(slices)
            for name, size in zip(cut.names, _count(cut), strict=True)
        },
        cells=_count_cells(inquiry, base, head, pairs),
        flips=flips,
        wrong_examples=wrong,
        right_examples=right,
    )


def join_sums(one: Sums, other: Sums) -> Sums:
    """Of both."""
    return Sums(
        overlaps=(*one.overlaps, *other.overlaps),
        overall=merge(one.overall, other.overall),
        sizes=_add(one.sizes, other.sizes),
        cells=_add(one.cells, other.cells),
        flips=_add_flips(one.flips, other.flips),
        wrong_examples=first_keys((*one.wrong_examples, *other.wrong_examples)),
        right_examples=first_keys((*one.right_examples, *other.right_examples)),
    )


def _add_flips(one: tuple[int, int] | None, other: tuple[int, int] | None) -> tuple[int, int] | None:
    return None if one is None or other is None else (one[0] + other[0], one[1] + other[1])


def rank_part(inquiry: Inquiry, tables: Tables, pairs: Pairs) -> RankSums:
    """The second pass over one part, for metrics of ranks."""
    base, head = _sample(inquiry, pairs)
    units = find_units(pairs.head)
    return collect_ranks(base, head, tables, groups=units[GROUP].to_numpy() if GROUP in units.columns else None)


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
        sums = self._sums
        if sums.flips is None or not self.has_baseline:
            return None
        lost, gained = sums.flips
        test = mcnemar(gained, lost)
        return Flips(
            n=self.overlap.size,
            newly_wrong=lost,
            newly_right=gained,
            wrong_examples=sums.wrong_examples,
            right_examples=sums.right_examples,
            p=min(1.0, 2 * min(test.lower, test.higher)),
        )

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


def _sample(inquiry: Inquiry, pairs: Pairs) -> tuple[Chunk, Chunk]:
    base, head = build_samples((pairs.base, pairs.head), inquiry.thresholds)
    return base, head  # type: ignore[return-value]  # of the tasks that `can_be_summed` lets through


def _cut(inquiry: Inquiry, pairs: Pairs) -> Iterator[Sliced]:
    slicing = inquiry.slicing
    if slicing is not None:
        yield from cut_units(find_units(pairs.head), slicing.by, [name for name, _ in slicing.where])


def _list_slices(
    inquiry: Inquiry, pairs: Pairs, wanted: frozenset[SliceKey]
) -> Iterator[tuple[SliceKey, Chunk, Chunk, NDArray[Any] | None]]:
    base, head = _sample(inquiry, pairs)
    units = find_units(pairs.head)
    groups = units[GROUP].to_numpy() if GROUP in units.columns else None
    for number, cut in enumerate(_cut(inquiry, pairs)):
        order, stretches = sort_slices(cut.codes, head.size, min_n=1)
        before, after = base.select(order), head.select(order)
        for code, chosen in stretches:
            key = (number, cut.names[code])
            if key in wanted:
                named = None if groups is None else groups[order][chosen]
                yield key, before.select(chosen), after.select(chosen), named


def _count(cut: Sliced) -> NDArray[np.intp]:
    return np.bincount(cut.codes[cut.codes >= 0], minlength=len(cut.names))


def _count_cells(inquiry: Inquiry, base: Any, head: Any, pairs: Pairs) -> dict[SliceKey, Cells]:
    """Counts of labels and both sides' decisions, by gap and group."""
    found: dict[SliceKey, Cells] = {}
    units = find_units(pairs.head)
    for number, gap in enumerate(inquiry.gaps):
        if pairs.head.task is not Task.BINARY or GROUP in units.columns:
            continue
        if "at" not in SPECS[Task.BINARY][gap.measure.name].settings:
            continue
        (cut,) = cut_units(units, [(gap.by,)], ())
        before, after = (
            side.score >= (side.threshold if gap.measure.at is None else gap.measure.at) for side in (base, head)
        )
        joint = cut.codes * 8 + head.label * 4 + before * 2 + after
        counts = np.bincount(joint, minlength=8 * len(cut.names)).reshape(-1, 2, 2, 2).astype(np.int64)
        names = [name.removeprefix(f"{gap.by}=") for name in cut.names]
        found |= {(number, name): cells for name, cells in zip(names, counts, strict=True)}
    return found


def _count_flips(inquiry: Inquiry, pairs: Pairs) -> tuple[tuple[int, int] | None, tuple[str, ...], tuple[str, ...]]:
    """How many rows went from right to wrong and back, with the first few keys of both."""
    before, after = find_right(pairs.base, inquiry.thresholds[0]), find_right(pairs.head, inquiry.thresholds[1])
    if before is None or after is None:
        return None, (), ()
    lost, gained = before & ~after, after & ~before
    table, keys = pairs.head.table, pairs.head.keys
    return (
        (int(lost.sum()), int(gained.sum())),
        show_keys(table.filter(lost), keys),
        show_keys(table.filter(gained), keys),
    )


def _without_rows(pairs: Pairs) -> Overlap:
    return Overlap(**{name: getattr(pairs, name) for name in Overlap.__struct_fields__})


def _add(one: Mapping[SliceKey, Any], other: Mapping[SliceKey, Any]) -> dict[SliceKey, Any]:
    return {key: _sum(one.get(key), other.get(key)) for key in {**one, **other}}


def _sum(one: Any, other: Any) -> Any:
    return other if one is None else one if other is None else one + other
