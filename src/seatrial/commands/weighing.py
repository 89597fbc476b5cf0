"""From the answers of both sides to evidence: paired, estimated as a whole, by slice and between groups."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct

from seatrial.commands.answers import Answers
from seatrial.commands.stating import adjust_slices, state_evidence, state_gap
from seatrial.config.evaluations import Evaluation, Grouping, Pairing
from seatrial.core.evidence import Cohort, EvaluationResult, Evidence, Flips, Gap
from seatrial.core.metrics import Direction, Interval, MetricId, Value, is_finite
from seatrial.sources.frames import show_keys
from seatrial.sources.predictions import Pairs, Predictions, pair_predictions
from seatrial.sources.samples import Codes, build_samples, cut_units, find_right, find_units, number_clusters
from seatrial.stats.estimates import estimate, estimate_slices, measure_one
from seatrial.stats.groups import compare_groups
from seatrial.stats.names import SPECS, Measure
from seatrial.stats.paired import Estimate, Insufficient
from seatrial.stats.proportions import mcnemar

if TYPE_CHECKING:
    import polars as pl

    from seatrial.stats.sample import Sample

# A metrics file is rounded when it is written; beyond this it was not made from these predictions.
_AGREEMENT = 1e-4


# Without slots, since what is needed twice is kept.
@dataclass(frozen=True, kw_only=True)
class Weighing:
    """One evaluation while it is being worked out; `before` is None for a first measurement."""

    evaluation: Evaluation
    before: Answers | None
    after: Answers

    def weigh(self) -> EvaluationResult:
        """Everything that the predictions say; of a first measurement, what they say of the candidate alone."""
        evaluation, before, after = self.evaluation, self.before, self.after
        pairs: Pairs | None = None
        if before is None:
            sides = _Sides.build((after.predictions,), (after.threshold,))
        else:
            pairs = pair_predictions(before.predictions, after.predictions)
            sides = _Sides.build((pairs.base, pairs.head), (before.threshold, after.threshold))
        slices, untested, cohorts = self._cut(sides)
        return EvaluationResult(
            name=evaluation.name,
            overall=self._estimate(sides),
            slices=slices,
            untested=untested,
            min_n=evaluation.slicing.min_n if evaluation.slicing else 0,
            q=evaluation.slicing.q if evaluation.slicing else 0.05,
            cohorts=cohorts,
            n_base=pairs.n_base if pairs else None,
            n_head=after.predictions.size,
            n_common=pairs.size if pairs else None,
            labels_changed=pairs.labels_changed if pairs else 0,
            digest=pairs.digest if pairs else "",
            gaps=tuple(self._find_gap(sides, grouping) for grouping in evaluation.gaps),
            flips=self._find_flips(pairs) if pairs else None,
            mismatch=self._describe_mismatch(pairs) if pairs else "",
        )

    def list_intervals(self, result: EvaluationResult) -> dict[MetricId, Interval]:
        """The intervals of those metrics that a metrics file tells."""
        changes = [each.change for each in result.overall]
        return {each.id: each.interval for each in changes if each.interval and each.id.file != result.name}

    @cached_property
    def _measures(self) -> tuple[Measure, ...]:
        """The metrics that the policy names, and those of the metrics file that predictions determine."""
        sides = [side.values for side in (self.before, self.after) if side]
        found = [
            Measure(name=name)
            for name in SPECS[self.evaluation.task]
            if all(is_finite(values.get(name)) for values in sides)
        ]
        return tuple(dict.fromkeys((*self.evaluation.measures, *found)))

    @cached_property
    def _doubtful(self) -> frozenset[Measure]:
        """The metrics whose value in the file is not the one that the predictions of its side yield."""
        doubtful: set[Measure] = set()
        for side in (self.before, self.after):
            if side is None:
                continue
            told = [measure for measure in self._measures if is_finite(side.values.get(str(measure)))]
            (sample,) = build_samples((side.predictions,), (side.threshold,))
            computed = measure_one(sample, told)
            doubtful |= {measure for measure in told if not _agrees(side.values[str(measure)], computed[measure])}
        return frozenset(doubtful)

    def _identify(self, measure: Measure) -> MetricId:
        """The metric's address in its metrics file, or within the evaluation where that does not tell it."""
        told = str(measure) in self.after.values and measure not in self._doubtful
        file = self.evaluation.metrics_file if told else None
        return MetricId(file=file or self.evaluation.name, key=(str(measure),))

    def _estimate(self, sides: _Sides) -> tuple[Evidence, ...]:
        answers = estimate(sides.base, sides.head, self._measures, groups=sides.clusters)
        return tuple(
            self._state(self._identify(measure), measure, answer, paired=sides.paired)
            for measure, answer in answers.items()
        )

    def _state(
        self, identity: MetricId, measure: Measure, answer: Estimate | Insufficient, *, paired: bool
    ) -> Evidence:
        higher = SPECS[self.evaluation.task][measure.name].higher_is_better
        return state_evidence(identity, answer, Direction.HIGHER if higher else Direction.LOWER, paired=paired)

    def _cut(self, sides: _Sides) -> tuple[tuple[Evidence, ...], int, tuple[Cohort, ...]]:
        """Evidence of every slice that has enough units, how many have not, and the slices that must be there."""
        slicing = self.evaluation.slicing
        if slicing is None:
            return (), 0, ()
        found: list[tuple[Evidence, Estimate | Insufficient]] = []
        sizes: dict[str, int] = {}
        for cut in cut_units(sides.units, slicing.by, [name for name, _ in slicing.where]):
            counts = np.bincount(cut.codes[cut.codes >= 0], minlength=len(cut.names))
            sizes |= {name: int(count) for name, count in zip(cut.names, counts, strict=True)}
            answers = estimate_slices(
                sides.base, sides.head, slicing.measures, cut.codes, min_n=slicing.min_n, groups=sides.clusters
            )
            found += [
                (self._state(self._slice(measure, cut.names[code]), measure, answer, paired=sides.paired), answer)
                for code, by_measure in answers.items()
                for measure, answer in by_measure.items()
            ]
        untested = sum(0 < size < slicing.min_n for size in sizes.values())
        cohorts = tuple(Cohort(name=name, n=sizes.get(name, 0), needed=slicing.min_n) for name in slicing.required)
        return adjust_slices(found, slicing.correction), untested, cohorts

    def _slice(self, measure: Measure, name: str) -> MetricId:
        return MetricId(file=self.evaluation.name, key=(str(measure),), slice=name)

    def _find_gap(self, sides: _Sides, grouping: Grouping) -> Gap:
        """How far apart the groups of a column lie, on both sides."""
        (cut,) = cut_units(sides.units, [(grouping.by,)], ())
        counts = np.bincount(cut.codes, minlength=len(cut.names))
        found = compare_groups(
            sides.base,
            sides.head,
            grouping.measure,
            cut.codes,
            count=len(cut.names),
            min_n=grouping.min_n,
            clusters=sides.clusters,
        )
        identity = MetricId(file=self.evaluation.name, key=(f"gap of {grouping.measure}",), slice=f"by {grouping.by}")
        small = int((counts < grouping.min_n).sum())
        names = tuple(name.removeprefix(f"{grouping.by}=") for name in cut.names)
        return state_gap(identity, str(grouping.measure), grouping.by, found, names, small, paired=sides.paired)

    def _find_flips(self, pairs: Pairs) -> Flips | None:
        """What went from right to wrong and back, as the two sides' own thresholds decide."""
        before = find_right(pairs.base, self.before.threshold) if self.before else None
        after = find_right(pairs.head, self.after.threshold)
        if before is None or after is None:
            return None
        lost, gained = before & ~after, after & ~before
        test = mcnemar(int(gained.sum()), int(lost.sum()))
        keys = pairs.head.keys
        return Flips(
            n=pairs.size,
            newly_wrong=int(lost.sum()),
            newly_right=int(gained.sum()),
            wrong_examples=show_keys(pairs.head.table.filter(lost), keys),
            right_examples=show_keys(pairs.head.table.filter(gained), keys),
            p=min(1.0, 2 * min(test.lower, test.higher)),
        )

    def _describe_mismatch(self, pairs: Pairs) -> str:
        if self.evaluation.pairing is not Pairing.REQUIRE or not self.evaluation.rules or pairs.same_evaluation_set:
            return ""
        parts = []
        for count, keys, words in (
            (pairs.n_head - pairs.size, pairs.only_head, "the candidate's alone"),
            (pairs.n_base - pairs.size, pairs.only_base, "the baseline's alone"),
        ):
            parts += [f"{count:,} samples are {words} (first {keys[0]})"] if count else []
        parts += [f"{pairs.labels_changed:,} labels differ"] if pairs.labels_changed else []
        return f"the two sides were not evaluated on the same samples: {', '.join(parts)}"

    def describe(self, result: EvaluationResult) -> tuple[str, ...]:
        """What a reader must know of the evaluation set, and of metrics without an interval."""
        if result.n_common is None:
            return ()
        evaluation, notes = self.evaluation, []
        if result.n_common < max(result.n_base or 0, result.n_head or 0):
            notes.append(
                f"{evaluation.predictions}: paired on the {result.n_common:,} samples that both sides hold "
                f"(baseline {result.n_base:,}, candidate {result.n_head:,})"
            )
        if result.labels_changed:
            notes.append(f"{evaluation.predictions}: {result.labels_changed:,} labels differ between the sides")
        notes += [
            f"no interval for {evaluation.metrics_file}:{measure}: its value was not made from {evaluation.predictions}"
            for measure in sorted(self._doubtful, key=str)
        ]
        notes += [f"no interval for {each.change.id.dotted}: {each.reason}" for each in result.overall if each.reason]
        return (*notes, *(f"{each.change.id.dotted}: {each.caution}" for each in result.overall if each.caution))


class _Sides(Struct, frozen=True, kw_only=True):
    """The samples that are compared; of a first measurement `base` is the candidate itself, and nothing is paired."""

    base: Sample
    head: Sample
    units: pl.DataFrame
    clusters: Codes | None
    paired: bool

    @classmethod
    def build(cls, sides: tuple[Predictions, ...], thresholds: tuple[float, ...]) -> _Sides:
        samples = build_samples(sides, thresholds)
        units = find_units(sides[-1])
        return cls(
            base=samples[0],
            head=samples[-1],
            units=units,
            clusters=number_clusters(units),
            paired=len(samples) > 1,
        )


def _agrees(told: Value, computed: object) -> bool:
    return (
        isinstance(told, (int, float))
        and isinstance(computed, float)
        and math.isclose(told, computed, rel_tol=_AGREEMENT, abs_tol=_AGREEMENT)
    )
