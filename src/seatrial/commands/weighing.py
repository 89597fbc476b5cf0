"""From the answers of both sides to evidence: paired, estimated as a whole, by slice and between groups."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from seatrial.commands.answers import Answers
from seatrial.commands.matching import Match, PairedMatch, UnpairedMatch
from seatrial.commands.remarks import remark_on
from seatrial.commands.stating import adjust_slices, state_evidence, state_gap
from seatrial.config.evaluations import Evaluation, Grouping, Pairing
from seatrial.core.evidence import Cohort, EvaluationResult, Evidence, Gap
from seatrial.core.metrics import Direction, Interval, MetricId, Value, is_finite
from seatrial.sources.predictions import Overlap, Pairs, miss_pairs, pair_predictions
from seatrial.sources.samples import build_samples
from seatrial.stats.estimates import measure_one
from seatrial.stats.names import SPECS, Measure
from seatrial.stats.paired import Estimate, Insufficient

if TYPE_CHECKING:
    from seatrial.commands.summing import Engine, SummedMatch

# A metrics file is rounded when it is written; beyond this it was not made from these predictions.
_AGREEMENT = 1e-4


# Without slots, since what is needed twice is kept.
@dataclass(frozen=True, kw_only=True)
class Weighing:
    """One evaluation while it is being worked out; `before` is None for a first measurement."""

    evaluation: Evaluation
    before: Answers | None
    after: Answers
    engine: Engine | None = None

    def weigh(self) -> EvaluationResult:
        """Everything that the predictions say; of a first measurement, what they say of the candidate alone."""
        evaluation = self.evaluation
        pairs = self._overlap
        match = self._match
        slices, untested, cohorts = self._cut(match)
        return EvaluationResult(
            name=evaluation.name,
            overall=self._estimate(match),
            slices=slices,
            untested=untested,
            min_n=evaluation.slicing.min_n if evaluation.slicing else 0,
            q=evaluation.slicing.q if evaluation.slicing else 0.05,
            cohorts=cohorts,
            n_base=pairs.n_base if pairs else None,
            n_head=self._count(),
            n_common=pairs.size if pairs else None,
            labels_changed=pairs.labels_changed if pairs and not self._unpaired else 0,
            digest=pairs.digest if pairs and not self._unpaired else "",
            gaps=tuple(self._find_gap(match, grouping) for grouping in evaluation.gaps),
            flips=match.find_flips(),
            mismatch=self._describe_mismatch(pairs) if pairs else "",
        )

    def _count(self) -> int:
        """How many rows the candidate has."""
        if self._summed:
            return self._summed.overlap.n_head
        return self.after.predictions.size if self.after.predictions else 0

    @cached_property
    def _summed(self) -> SummedMatch | None:
        """The match of two sides that are not held."""
        if self.engine is None:
            return None
        # Most evaluations are held in memory, and need none of it.
        from seatrial.commands.summing import SummedMatch

        thresholds = ((self.before or self.after).threshold, self.after.threshold)
        return SummedMatch(
            engine=self.engine, evaluation=self.evaluation, measures=self._measures, thresholds=thresholds
        )

    @cached_property
    def _overlap(self) -> Overlap | None:
        """What both evaluation sets hold: something, unless they may be compared unpaired."""
        if self.before is None:
            return None
        found = self._summed.overlap if self._summed else self._pairs
        if found and not found.size and self.evaluation.pairing is not Pairing.UNPAIRED:
            raise miss_pairs(self.evaluation.predictions)
        return found

    @cached_property
    def _pairs(self) -> Pairs | None:
        before, after = self.before.predictions if self.before else None, self.after.predictions
        if before is None or after is None:
            return None
        return pair_predictions(before, after, needed=self.evaluation.pairing is not Pairing.UNPAIRED)

    @property
    def _unpaired(self) -> bool:
        """Whether the sides are two independent samples: the policy allows it, and they hold different keys."""
        overlap = self._overlap
        return self.evaluation.pairing is Pairing.UNPAIRED and overlap is not None and not overlap.same_keys

    @cached_property
    def _match(self) -> Match:
        after, before = self.after.predictions, self.before.predictions if self.before else None
        if self._summed:
            return self._summed
        if after is None:
            raise ValueError("predictions that are not held need an engine")
        if self.before is None or before is None or self._pairs is None:
            return PairedMatch.alone(after, self.after.threshold)
        thresholds = (self.before.threshold, self.after.threshold)
        return (
            UnpairedMatch.of((before, after), thresholds) if self._unpaired else PairedMatch.of(self._pairs, thresholds)
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
            computed = self._measure_alone(side, told)
            doubtful |= {measure for measure in told if not _agrees(side.values[str(measure)], computed[measure])}
        return frozenset(doubtful)

    def _measure_alone(self, side: Answers, measures: list[Measure]) -> Mapping[Measure, object]:
        """The values of one side; of one that is not held, those on the rows that both sides have."""
        if side.predictions is not None:
            (sample,) = build_samples((side.predictions,), (side.threshold,))
            return measure_one(sample, measures)
        answers = self._match.estimate(measures)
        return {measure: one.base if side is self.before else one.head for measure, one in answers.items()}

    def _identify(self, measure: Measure) -> MetricId:
        """The metric's address in its metrics file, or within the evaluation where that does not tell it."""
        told = str(measure) in self.after.values and measure not in self._doubtful
        file = self.evaluation.metrics_file if told else None
        return MetricId(file=file or self.evaluation.name, key=(str(measure),))

    def _estimate(self, match: Match) -> tuple[Evidence, ...]:
        return tuple(
            self._state(self._identify(measure), measure, answer, paired=match.has_baseline)
            for measure, answer in match.estimate(self._measures).items()
        )

    def _state(
        self, identity: MetricId, measure: Measure, answer: Estimate | Insufficient, *, paired: bool
    ) -> Evidence:
        higher = SPECS[self.evaluation.task][measure.name].higher_is_better
        return state_evidence(identity, answer, Direction.HIGHER if higher else Direction.LOWER, paired=paired)

    def _cut(self, match: Match) -> tuple[tuple[Evidence, ...], int, tuple[Cohort, ...]]:
        """Evidence of every slice that has enough units, how many have not, and the slices that must be there."""
        slicing = self.evaluation.slicing
        if slicing is None:
            return (), 0, ()
        found: list[tuple[Evidence, Estimate | Insufficient]] = []
        sizes: dict[str, int] = {}
        untested = 0
        for cut in match.cut(slicing):
            sizes |= dict(zip(cut.names, cut.sizes, strict=True))
            untested += sum(size > 0 and code not in cut.answers for code, size in enumerate(cut.sizes))
            found += [
                (self._state(self._slice(measure, cut.names[code]), measure, answer, paired=match.has_baseline), answer)
                for code, by_measure in cut.answers.items()
                for measure, answer in by_measure.items()
            ]
        cohorts = tuple(Cohort(name=name, n=sizes.get(name, 0), needed=slicing.min_n) for name in slicing.required)
        return adjust_slices(found, slicing.correction), untested, cohorts

    def _slice(self, measure: Measure, name: str) -> MetricId:
        return MetricId(file=self.evaluation.name, key=(str(measure),), slice=name)

    def _find_gap(self, match: Match, grouping: Grouping) -> Gap:
        """How far apart the groups of a column lie, on both sides."""
        found = match.compare_groups(grouping)
        metric, by = str(grouping.measure), grouping.by
        identity = MetricId(file=self.evaluation.name, key=(f"gap of {metric}",), slice=f"by {by}")
        return state_gap(identity, metric, by, found.gap, found.names, found.small, paired=match.has_baseline)

    def _describe_mismatch(self, pairs: Overlap) -> str:
        if self.evaluation.pairing is not Pairing.REQUIRE or not self.evaluation.demands or pairs.same_evaluation_set:
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
        if self._unpaired:
            notes.append(
                f"{evaluation.predictions}: compared unpaired, as samples of their own (baseline {result.n_base:,}, "
                f"candidate {result.n_head:,}, {result.n_common:,} in common)"
            )
        elif result.n_common < max(result.n_base or 0, result.n_head or 0):
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
        notes += [f"{each.change.id.dotted}: {each.caution}" for each in result.overall if each.caution]
        match = self._match
        return (*notes, *(remark_on(match.base, match.head) if isinstance(match, PairedMatch) else ()))


def _agrees(told: Value, computed: object) -> bool:
    return (
        isinstance(told, (int, float))
        and isinstance(computed, float)
        and math.isclose(told, computed, rel_tol=_AGREEMENT, abs_tol=_AGREEMENT)
    )
